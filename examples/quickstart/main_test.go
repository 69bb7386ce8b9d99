//go:build linux

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestRun runs the program as the README says, where the machine permits a sandbox.
func TestRun(t *testing.T) {
	out, err := exec.Command("go", "run", ".").CombinedOutput()
	if err != nil && os.Getenv("PIPEWORK_REQUIRE") == "" {
		t.Skipf("%v: %s", err, out)
	}
	for _, want := range []string{"two guests plugged in within", "ping from one to the other: ", "unplugged: nothing is left"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%v, want %q:\n%s", err, want, out)
		}
	}
}

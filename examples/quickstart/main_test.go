//go:build linux

package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/go-pipework/pipework/internal/transcript"
)

// TestRun runs the program, which prints what the README says, where the machine permits a sandbox.
func TestRun(t *testing.T) {
	out, err := exec.Command("go", "run", ".").CombinedOutput()
	if err != nil && os.Getenv("PIPEWORK_REQUIRE") == "" {
		t.Skipf("%v: %s", err, out)
	}
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	quickstart := func(first string) bool { return first == "go run ./examples/quickstart" }
	transcript.Type(t, "../../README.md", quickstart, func(string) string { return string(out) })
}

//go:build linux

package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/go-pipework/pipework/internal/transcript"
)

// TestRun runs the program, which prints what docs/uplink.md says, where the machine permits a
// sandbox.
func TestRun(t *testing.T) {
	out, err := exec.Command("go", "run", ".").CombinedOutput()
	if err != nil && os.Getenv("PIPEWORK_REQUIRE") == "" {
		t.Skipf("%v: %s", err, out)
	}
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	lan := func(first string) bool { return first == "go run ./examples/lan" }
	transcript.Type(t, "../../docs/uplink.md", lan, func(string) string { return string(out) })
}

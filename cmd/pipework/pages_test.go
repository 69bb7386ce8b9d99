//go:build linux

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/internal/transcript"
)

// TestPages types what the pages of docs show, in the sandbox, where web and db are guests,
// and eth5 is a NIC. What examples print, their own tests compare.
func TestPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			for _, name := range []string{"web", "db"} {
				remove, err := sandbox.Namespace(name)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = remove() })
			}
			t.Setenv("PIPEWORK_STATE", t.TempDir())
			t.Setenv("GORACE", "atexit_sleep_ms=0")
			typed := func(line string) string {
				out, _ := exec.Command("bash", "-c", line).CombinedOutput() // its status is the page's business
				return string(out)
			}
			typed("ip link add eth5 type veth peer name wire5 && ip link set eth5 up && ip link set wire5 up")
			defer nstest.DelLink(t, "eth5")
			transcript.Type(t, page, func(line string) bool { return !strings.HasPrefix(line, "go run ./examples/") }, typed)
			if out := typed("pipework detach web --all && pipework detach db --all && pipework gc"); t.Failed() {
				t.Log(out)
			}
		})
	}
}

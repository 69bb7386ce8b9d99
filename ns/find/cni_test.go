//go:build linux

package find_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
)

// TestAttachedGone: the file stays when the namespace that was mounted on it is gone.
func TestAttachedGone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "netns")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", file, file + "2"} {
		if _, err := find.Target(ns.Ref{Kind: ns.CNI, Name: "lan/web", ID: id}).Open(t.Context()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

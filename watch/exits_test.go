//go:build linux

package watch

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/internal/keeptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns"
)

// TestProcessOpensAgain has a guest be opened by its process, which ends then.
func TestProcessOpensAgain(t *testing.T) {
	e, err := newExits()
	keeptest.Must(t, err)
	defer e.close()
	running := nstest.Process(t)
	first, err := ns.PID(running.PID).Open(t.Context())
	keeptest.Must(t, err)
	defer func() { _ = first.Close() }()
	first.Name, first.ID = "web", "1"
	p, err := e.watch(first, ref{id: "web"})
	keeptest.Must(t, err)
	defer p.close()

	again, err := p.Open(t.Context())
	keeptest.Must(t, err)
	if diff := cmp.Diff(first.Identity, again.Identity); diff != "" || again.Inode() != first.Inode() {
		t.Errorf("another guest (-want +got):\n%s", diff)
	}
	keeptest.Must(t, again.Close())
	keeptest.Must(t, running.Kill())
	if _, err := p.Open(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its process has ended: %v", err)
	}
}

//go:build linux

package keep_test

import (
	"testing"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/keeptest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// TestDetachMeetsDetach has the same detach, from beginning to end, between each step of
// one that has not begun to change anything and the next: it is done, and no error.
func TestDetachMeetsDetach(t *testing.T) {
	for _, line := range []string{"--direct-phys nic5 netns:web 10.5.0.1/24", "br1 netns:web 10.0.0.2/24@10.0.0.1"} {
		t.Run(line, func(t *testing.T) {
			guests, p := newTown(t)
			guests.settle(t, "", "netns:web")
			keeptest.MakeNIC(t, "nic5", "02:00:00:00:05:05")
			ref := ns.ParseRef("netns:web")
			for n := 1; ; n++ {
				plugIn(t, p, line)
				step, met := 0, false
				ctx := fault.With(t.Context(), func(string) error {
					r, err := p.Store.Get(ref, "eth1")
					if step++; step != n || err != nil || r.Phase != keep.Attached { // who has begun holds the lock
						return nil
					}
					met = true
					done := make(chan error)
					go func() { _, err := p.Detach(t.Context(), ref, "eth1", keep.DetachOptions{}); done <- err }()
					return <-done
				})
				if _, err := p.Detach(ctx, ref, "eth1", keep.DetachOptions{}); err != nil {
					t.Errorf("step %d: %v", n, err)
				}
				if left := recorded(t, p); len(left) > 0 {
					t.Errorf("step %d: records %v", n, left)
				}
				if !met {
					t.Logf("%d steps", n)
					return
				}
			}
		})
	}
}

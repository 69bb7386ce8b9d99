//go:build linux

package keep_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// TestProbesOnce looks for other hosts with the address, and counts the ARP frames: what
// looks at the interface on the way sends none.
func TestProbesOnce(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, "", "netns:web")
	p.Probe = 30 * time.Millisecond
	plugIn(t, p, "br1 netns:web 10.0.0.2/24")
	r, err := p.Store.Get(ns.ParseRef("netns:web"), "eth1")
	must(t, err)
	for _, step := range []struct {
		name   string
		frames int
		do     func(context.Context) error
	}{
		{"attach again", 5, func(ctx context.Context) error { // three probes, and two to announce it
			_, _, err := p.Attach(ctx, r.Guest, r.Declared())
			return err
		}},
		{"check", 3, func(ctx context.Context) error {
			_, err := p.Status(ctx, r.Guest)
			return err
		}},
		{"detach", 0, func(ctx context.Context) error {
			_, err := p.Detach(ctx, r.Guest, "eth1", keep.DetachOptions{})
			return err
		}},
	} {
		var frames atomic.Int32
		must(t, step.do(fault.With(t.Context(), func(step string) error {
			if step == "send ARP" {
				frames.Add(1)
			}
			return nil
		})))
		if got := int(frames.Load()); got != step.frames {
			t.Errorf("%s: %d frames, want %d", step.name, got, step.frames)
		}
	}
}

//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/link"
)

// TestReadersMeetChanges has an interface come, or go, between each step of those who
// only look and the next: they find it, or say that it is not there, and List finds what
// else there is.
func TestReadersMeetChanges(t *testing.T) {
	addPhys(t, physVeth())
	target, _ := nstest.Guest(t)
	other := spec("eth2", "br2", "10.2.0.2/24")
	attach(t, target, other)
	for _, b := range []link.Backend{link.Bridge{Name: "br1"}, link.Phys{Device: "nic0"}} {
		s := pipework.Spec{Link: b, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}}
		come := func() error { _, err := pipework.Attach(t.Context(), target, s); return err }
		leave := func() error { _, err := pipework.Detach(t.Context(), target, s); return err }
		for name, read := range map[string]func(context.Context) error{
			"check":          func(ctx context.Context) error { return looked(ctx, target, s) },
			"check unlinked": func(ctx context.Context) error { return looked(ctx, target, pipework.Spec{}) },
			"list":           func(ctx context.Context) error { return listed(ctx, target) },
		} {
			for what, change := range map[string][2]func() error{"attach": {leave, come}, "detach": {come, leave}} {
				t.Run(fmt.Sprint(name, " of ", b, " meets ", what), func(t *testing.T) { meet(t, change[0], change[1], read) })
			}
		}
		must(t, leave())
	}
	detach(t, target, other)
}

// meet has each step of read, in turn, meet the change, before which begin is called.
func meet(t *testing.T, begin, change func() error, read func(context.Context) error) {
	stride := 1
	if testing.Short() {
		stride = 7
	}
	for n := 1; ; n += stride {
		must(t, begin())
		step := 0
		ctx := fault.With(t.Context(), func(string) error {
			if step++; step != n {
				return nil
			}
			done := make(chan error)
			go func() { done <- change() }() // on a thread that is not in the guest
			must(t, <-done)
			return nil
		})
		if err := read(ctx); err != nil {
			t.Errorf("step %d: %v", n, err)
		}
		if step < n {
			return
		}
	}
}

func looked(ctx context.Context, target pipework.Target, s pipework.Spec) error {
	_, err := pipework.Check(ctx, target, s)
	if stage.NoInterface(err) {
		return nil
	}
	return err
}

func listed(ctx context.Context, target pipework.Target) error {
	all, err := pipework.List(ctx, target)
	for _, at := range all {
		if at.Name == "eth2" && len(at.Drifts) == 0 {
			return err
		}
	}
	return errors.Join(err, fmt.Errorf("listed %+v", all))
}

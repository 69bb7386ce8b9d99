//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// TestCollectCancelled ends the context at every step of a Collect that brings a NIC
// home, which the kernel returned, and removes a bridge: each is as it was, or done.
func TestCollectCancelled(t *testing.T) {
	addPhys(t, physVeth())
	target, g := nstest.Guest(t)
	inside := open(t, g)
	host, err := ns.Current()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	leave := func() { // as a guest does that dies
		attach(t, target, pipework.Spec{Link: link.Phys{Device: "nic0"}})
		attach(t, target, spec("eth2", "br1"))
		nic, err := inside.LinkByName("eth1")
		if err == nil {
			err = errors.Join(inside.LinkSetDown(nic), inside.LinkSetName(nic, "dev7"), inside.LinkSetNsFd(nic, int(host.NetNS())))
		}
		if err != nil {
			t.Fatal(err)
		}
		if pair, err := inside.LinkByName("eth2"); err != nil || inside.LinkDel(pair) != nil {
			t.Fatal(err)
		}
	}
	world := nstest.Observe(t, g.Handle)
	between := 0
	contract.WhileAtWork(t, 1, func(ctx context.Context) {
		leave()
		left := nstest.Observe(t, g.Handle)
		names, err := pipework.Collect(ctx)
		switch len(names) {
		case 0:
			left.Unchanged(t)
		case 1:
			between++
		}
		if err != nil && !errors.Is(err, context.Canceled) || err == nil && len(names) < 2 {
			t.Errorf("collected %q; %v", names, err)
		}
		again, err := pipework.Collect(t.Context())
		if err != nil || len(names)+len(again) != 2 {
			t.Errorf("collected %q, then %q; %v", names, again, err)
		}
		world.Unchanged(t)
	})
	if between == 0 {
		t.Error("it never stopped between the two")
	}
}

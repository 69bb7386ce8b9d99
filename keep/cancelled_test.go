//go:build linux

package keep_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/keeptest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// TestDetachCancelled ends the context at every step of a detach, as Ctrl-C does: all is
// as it was, with its record, or nothing is left.
func TestDetachCancelled(t *testing.T) {
	for line, stride := range map[string]int{"--direct-phys nic5 netns:web 10.5.0.1/24": 1, "br1 netns:web 10.0.0.2/24@10.0.0.1": 3} {
		t.Run(line, func(t *testing.T) {
			guests, p := newTown(t)
			guests.settle(t, "", "netns:web", "/run/netns/web")
			keeptest.MakeNIC(t, "nic5", "02:00:00:00:05:05")
			contract.WhileAtWork(t, stride, func(ctx context.Context) {
				plugIn(t, p, line)
				ref := ns.ParseRef("/run/netns/web") // not the record's word
				r, err := p.Detach(ctx, ref, "eth1", keep.DetachOptions{})
				switch {
				case err == nil && r == nil:
					t.Error("it says that there is nothing")
				case err == nil && (len(guests.interfaces(t, "netns:web")) > 0 || len(recorded(t, p)) > 0):
					t.Errorf("done, and left are %v, %v", guests.interfaces(t, "netns:web"), recorded(t, p))
				case err != nil && !errors.Is(err, context.Canceled):
					t.Error(err)
				case err != nil:
					if got := statuses(t, p); !slices.Equal(got, []string{"netns:web eth1 ok"}) {
						t.Errorf("after %v: %v", err, got)
					}
					unplugs(t, p, "netns:web", "", "eth1")
				}
			})
		})
	}
}

// TestDetachOfFormerCancelled ends the context at every step of a detach of a guest that does
// not run, and whose network namespace is kept.
func TestDetachOfFormerCancelled(t *testing.T) {
	guests, p := newTown(t)
	contract.WhileAtWork(t, 1, func(ctx context.Context) {
		guests.settle(t, id("web"), "docker:web")
		plugIn(t, p, "br1 docker:web 10.0.0.2/24")
		k := guests.restart(t, "docker:web", "file")
		guests["docker:web"] = ns.Identity{Name: "web", ID: id("web")} // stopped
		r, err := p.Detach(ctx, ns.ParseRef("docker:web"), "eth1", keep.DetachOptions{})
		there, left := k.has("eth1"), len(recorded(t, p))
		switch {
		case err == nil && (r == nil || there || left > 0):
			t.Errorf("done with %+v, and left is the interface (%v), %d records", r, there, left)
		case err != nil && (!errors.Is(err, context.Canceled) || !there || left != 1):
			t.Errorf("after %v: the interface is there: %v, %d records", err, there, left)
		case err != nil:
			unplugs(t, p, "docker:web", "eth1", "")
		}
	})
}

// TestNobodyIsFoundInTime ends the context while guests are looked up for a record whose
// interface is gone: that is no answer.
func TestNobodyIsFoundInTime(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, "", "netns:web", "/run/netns/web")
	contract.WhileAtWork(t, 1, func(ctx context.Context) {
		plugIn(t, p, "br1 netns:web 10.0.0.2/24")
		guests.within(t, "netns:web", "eth1", func(h *netlink.Handle, l netlink.Link) error { return h.LinkDel(l) })
		ref := ns.ParseRef("/run/netns/web")
		if _, err := p.Status(ctx, ref); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("check: %v", err)
		}
	})
	contract.WhileAtWork(t, 1, func(ctx context.Context) {
		plugIn(t, p, "br1 netns:web 10.0.0.2/24")
		guests.within(t, "netns:web", "eth1", func(h *netlink.Handle, l netlink.Link) error { return h.LinkDel(l) })
		ref := ns.ParseRef("/run/netns/web")
		r, err := p.Detach(ctx, ref, "", keep.DetachOptions{})
		switch left := len(recorded(t, p)); {
		case err == nil && (r == nil || left > 0), err != nil && (!errors.Is(err, context.Canceled) || left != 1):
			t.Errorf("detach: %+v, %v; %d records", r, err, left)
		}
	})
}

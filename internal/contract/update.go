//go:build linux

package contract

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
)

// specs are the fixture's Spec, and another one of the same interface that changes, adds
// and removes something of each concern.
func (f *fixture) specs() (old, next pipework.Spec) {
	old = f.spec()
	old.MTU = 1500 // without one it stays
	if !f.NoMAC {
		old.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 7}
	}
	next = old
	next.MTU = 1400
	next.Addrs = []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24"), netip.MustParsePrefix("10.3.0.1/24")}
	next.Gateways = []netip.Addr{netip.MustParseAddr("10.1.0.254")}
	next.Routes = append([]link.Route{{Dst: netip.MustParsePrefix("10.98.0.0/16"), Via: netip.MustParseAddr("10.1.0.253")}}, old.Routes...)
	if len(old.Rules) > 0 {
		next.Routes = next.Routes[:len(next.Routes)-1]
		next.Rules = []link.Rule{{Priority: 102, To: netip.MustParsePrefix("10.98.0.0/16"), Table: 7}, {Priority: 101, Mark: 8, Table: 1000}}
		next.Egress, next.Ingress = nil, &link.Shaping{Rate: 300e6}
	}
	return old, next
}

// updated is a fixture whose interface is as the first of its specs says, how that looks,
// and how one does that the second made.
func (c Case) updated(t *testing.T) (f *fixture, before, want *nstest.World) {
	f = c.fixture(t)
	old, next := f.specs()
	attach(t, f.target, next)
	want = f.observe(t)
	f.clear(t, next)
	attach(t, f.target, old)
	return f, f.observe(t), want
}

// update changes an interface there and back.
func (c Case) update(t *testing.T) {
	f, before, want := c.updated(t)
	old, next := f.specs()
	at := update(t, f.target, next)
	if len(at.Added) != 2 || len(at.Mended) == 0 || !at.Existed {
		t.Errorf("update: %+v", at)
	}
	want.Alike(t)
	if at := update(t, f.target, next); len(at.Added) != 0 || len(at.Mended) != 0 {
		t.Errorf("the same update again: %+v", at)
	}
	if at := attach(t, f.target, next); !at.Existed || len(at.Mended) > 0 {
		t.Errorf("attach: %+v", at)
	}
	if _, err := pipework.Attach(t.Context(), f.target, old); !errors.Is(err, fs.ErrExist) {
		t.Errorf("what it was before: %v", err)
	}
	want.Alike(t)
	update(t, f.target, old)
	before.Unchanged(t)
	f.clear(t, old)
	if _, err := pipework.Update(t.Context(), f.target, old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("update of no interface: %v", err)
	}
}

// updateFaults makes Update fail at some steps, after which everything is as it was.
func (c Case) updateFaults(t *testing.T) {
	f, before, _ := c.updated(t)
	old, next := f.specs()
	steps := fails(t, some(), fault.With, func(ctx context.Context) error {
		_, err := pipework.Update(ctx, f.target, next)
		if err == nil {
			update(t, f.target, old)
		}
		before.Unchanged(t)
		return err
	})
	t.Logf("%d steps", steps)
	f.clear(t, old)
}

// updateKilled ends Update at some steps, with no clean-up. The next one, or Detach and
// Collect, does the rest; until then no Attach takes the interface for what it is not.
func (c Case) updateKilled(t *testing.T) {
	f, before, want := c.updated(t)
	old, next := f.specs()
	n := 0
	steps := fails(t, some(), fault.Kill, func(ctx context.Context) error {
		_, err := pipework.Update(ctx, f.target, next)
		switch n++; n % 3 {
		case 0:
			f.clear(t, next)
			attach(t, f.target, old)
			return err
		case 1:
			_, err := pipework.Attach(t.Context(), f.target, old)
			switch {
			case err == nil:
				before.Alike(t)
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		}
		update(t, f.target, next)
		want.Alike(t)
		update(t, f.target, old)
		before.Alike(t)
		return err
	})
	t.Logf("%d steps", steps)
	f.clear(t, old)
}

//go:build linux

package keep_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// TestLinesOfOneInterface types further lines, which must read back as declared.
func TestLinesOfOneInterface(t *testing.T) {
	for _, row := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"-a 4, then IPv6", []string{"br1 -a 4 netns:web 10.0.0.2/24", "br1 netns:web fd00::2/64"}, "br1 netns:web 10.0.0.2/24,fd00::2/64"},
		{"forwarding", []string{"br1 netns:web 10.0.0.2/24", "--no-forward br1 netns:web 10.0.0.3/24"}, "--no-forward br1 netns:web 10.0.0.2/24,10.0.0.3/24"},
	} {
		t.Run(row.name, func(t *testing.T) {
			guests, p := newTown(t)
			guests.settle(t, "", "netns:web")
			for _, line := range row.lines {
				plugIn(t, p, line)
			}
			wantLine(t, p, row.want)
			found, err := p.Status(t.Context())
			if err != nil || len(found) != 1 || found[0].State != keep.AsDeclared {
				t.Errorf("%+v, %v", found, err)
			}
		})
	}
}

// wantLine expects what the line means to be recorded.
func wantLine(t *testing.T, p *keep.Plugger, want string) {
	t.Helper()
	r, err := p.Store.Get(ns.ParseRef("netns:web"), "eth1")
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.Declared(t.Context(), lineOf(t, want))
	must(t, err)
	d.Spec.Add = false // which is of one call
	if diff := cmp.Diff(d.Spec, r.Spec, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

// TestLineOfAnotherLink has somebody without records plug the interface into
// another bridge: the recorded line is not of that one.
func TestLineOfAnotherLink(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, "", "netns:web")
	plugIn(t, p, "br1 netns:web 10.0.0.2/24")
	other := &keep.Plugger{Target: byText(guests.Target)}
	if _, err := other.Detach(t.Context(), ns.ParseRef("netns:web"), "", keep.DetachOptions{}); err != nil {
		t.Fatal(err)
	}
	plugIn(t, other, "br2 netns:web 10.2.0.2/24")
	plugIn(t, p, "br2 netns:web 10.2.0.2/24")
	wantLine(t, p, "br2 netns:web 10.2.0.2/24")
}

// TestNoLinkIsAnError declares nothing to plug into, for an interface that is there.
func TestNoLinkIsAnError(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, "", "netns:web")
	plugIn(t, p, "br1 netns:web 10.0.0.2/24")
	if _, _, err := p.Attach(t.Context(), ns.ParseRef("netns:web"), keep.Declared{}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("%v, want fs.ErrInvalid", err)
	}
	wantLine(t, p, "br1 netns:web 10.0.0.2/24")
}

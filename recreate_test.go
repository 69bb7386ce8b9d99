//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A restarting peer has the name docker:db, and starts in another network namespace while
// that of before lives on.
type restartingPeer struct{ now ns.Named }

func (r *restartingPeer) find(ns.Ref) pipework.Target { return r.now }

// toPeer is a pair to such a peer, with the default route.
func toPeer(addrs ...string) pipework.Spec {
	s := pipework.Spec{
		Link: link.Veth{
			Peer: ns.ParseRef("docker:db"), PeerName: "eth5",
			PeerAddrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.254/24")},
		},
		Gateways: []netip.Addr{netip.MustParseAddr("10.1.0.254")}, Add: true,
	}
	for _, a := range addrs {
		s.Addrs = append(s.Addrs, netip.MustParsePrefix(a))
	}
	return s
}

// restarted has a pair to a peer that has restarted then, and observes the guests before.
type restarted struct {
	*pipework.Attacher
	web             pipework.Target
	peer            *restartingPeer
	former          ns.Named
	g, was, present *ns.Guest
	bare, paired    *nstest.World // without the pair, and with it
	first           *pipework.Attachment
}

func newRestarted(t *testing.T, specs ...pipework.Spec) *restarted {
	t.Helper()
	r := &restarted{peer: new(restartingPeer)}
	var after ns.Named
	r.web, r.g = nstest.Guest(t)
	nstest.Uplink(t, r.g)
	r.former, r.was = nstest.Guest(t)
	r.peer.now = r.former
	after, r.present = nstest.Guest(t)
	r.Attacher = &pipework.Attacher{Find: r.peer.find}
	r.bare = nstest.Observe(t, r.g.Handle, r.was.Handle, r.present.Handle)
	r.attach(t, specs...)
	r.peer.now = after
	return r
}

// attach plugs the Specs in, one after the other.
func (r *restarted) attach(t *testing.T, specs ...pipework.Spec) {
	t.Helper()
	for n, s := range specs {
		at, err := r.Attach(t.Context(), r.web, s)
		must(t, err)
		if n == 0 {
			r.first = at
		}
	}
	r.paired = nstest.Observe(t, r.g.Handle, r.was.Handle, r.present.Handle)
}

// isRecreated checks that the pair is as the Spec says.
func (r *restarted) isRecreated(t *testing.T, at *pipework.Attachment, s pipework.Spec) {
	t.Helper()
	if !at.Existed || len(at.Mended) != 1 || !strings.Contains(at.Mended[0], "recreated because the other end of eth1 is not in") ||
		at.MAC.String() != r.first.MAC.String() || !slices.Equal(at.Displaced, r.first.Displaced) {
		t.Errorf("recreated: %+v, and first %+v", at, r.first)
	}
	if at, err := r.Check(t.Context(), r.web, s); err != nil || len(at.Drifts) > 0 || !slices.Equal(at.Addrs, s.Addrs) || !slices.Equal(at.Gateways, s.Gateways) {
		t.Errorf("check: %+v, %v", at, err)
	}
	nstest.Ping(t, r.g.Handle, "10.1.0.254")
	if _, err := open(t, r.was).LinkByName("eth5"); err == nil {
		t.Error("the namespace that the other guest had has an end yet")
	}
	if at, err := r.Attach(t.Context(), r.web, s); err != nil || !at.Existed || len(at.Mended) > 0 {
		t.Errorf("the same once more: %+v, %v", at, err)
	}
}

// detach takes the pair away, and checks that nothing is left.
func (r *restarted) detach(t *testing.T) {
	t.Helper()
	_, err := r.Detach(t.Context(), r.web, pipework.Spec{})
	must(t, err)
	r.bare.Unchanged(t)
}

// TestRecreatePair restarts the other guest of a pair while something keeps the network
// namespace that it had: the same attach, or an update to all that there is to be, recreates
// the pair.
func TestRecreatePair(t *testing.T) {
	one, other, both := toPeer("10.1.0.1/24"), toPeer("10.1.0.2/24"), toPeer("10.1.0.1/24", "10.1.0.2/24")
	for name, row := range map[string]struct {
		first []pipework.Spec
		do    func(*pipework.Attacher, context.Context, pipework.Target, pipework.Spec) (*pipework.Attachment, error)
		s     pipework.Spec
		added int
	}{
		"attach":                  {[]pipework.Spec{one}, (*pipework.Attacher).Attach, one, 0},
		"update":                  {[]pipework.Spec{one}, (*pipework.Attacher).Update, one, 0},
		"update to more":          {[]pipework.Spec{one}, (*pipework.Attacher).Update, both, 1},
		"update what was added":   {[]pipework.Spec{one, other}, (*pipework.Attacher).Update, both, 0},
		"update to something new": {[]pipework.Spec{one}, (*pipework.Attacher).Update, other, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRestarted(t, row.first...)
			at, err := r.Check(t.Context(), r.web, row.first[0])
			if err != nil || len(at.Drifts) != 1 || !strings.Contains(at.Drifts[0], "the other end of eth1 is not in") {
				t.Errorf("check: %+v, %v", at, err)
			}
			at, err = row.do(r.Attacher, t.Context(), r.web, row.s)
			must(t, err)
			r.isRecreated(t, at, row.s)
			if len(at.Added) != row.added {
				t.Errorf("added %v", at.Added)
			}
			r.detach(t)
		})
	}
}

// TestRecreateLosesNothing has an attach that does not say all that the pair has, or may have
// had in the other guest, say what to do, and change nothing.
func TestRecreateLosesNothing(t *testing.T) {
	one, other, both := toPeer("10.1.0.1/24"), toPeer("10.1.0.2/24"), toPeer("10.1.0.1/24", "10.1.0.2/24")
	for name, row := range map[string]struct {
		first []pipework.Spec
		s     pipework.Spec
		says  string
	}{
		"what was added":        {[]pipework.Spec{one, other}, one, "has more than this asks for (it has the address 10.1.0.2/24)"},
		"what was there first":  {[]pipework.Spec{one, other}, other, "may have more than this asks for"},
		"a further address":     {[]pipework.Spec{one}, other, "may have more than this asks for"},
		"all that can be known": {[]pipework.Spec{one, other}, both, "may have more than this asks for"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRestarted(t, row.first...)
			at, err := r.Attach(t.Context(), r.web, row.s)
			if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), "detach it, and attach all") {
				t.Errorf("got %+v, %v", at, err)
			}
			r.paired.Unchanged(t)
			r.detach(t)
		})
	}
}

// TestRecreateNoPair has the pair stay as it is where recreating it cannot succeed, or it is
// asked for otherwise.
func TestRecreateNoPair(t *testing.T) {
	s := toPeer("10.1.0.1/24")
	r := newRestarted(t, s)
	other := toPeer("10.1.0.7/24")
	other.Add = false
	if at, err := r.Attach(t.Context(), r.web, other); err == nil {
		t.Errorf("another Spec: %+v", at)
	}
	otherMAC := toPeer("10.1.0.2/24")
	otherMAC.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 0x77}
	if at, err := r.Attach(t.Context(), r.web, otherMAC); err == nil || !strings.Contains(err.Error(), "MAC is") {
		t.Errorf("another MAC: %+v, %v", at, err)
	}
	forging(t, r.present, "", func(f forger) { f.veth("eth5", 0) })
	if at, err := r.Attach(t.Context(), r.web, s); err != nil || len(at.Mended) > 0 || !slices.ContainsFunc(at.Warnings, func(w string) bool { return strings.Contains(w, "is not in") }) {
		t.Errorf("with another eth5 there: %+v, %v", at, err)
	}
	forging(t, r.present, "", func(f forger) { f.must(f.LinkDel(f.link("eth5"))) })
	r.peer.now = "nowhere"
	if at, err := r.Attach(t.Context(), r.web, s); err == nil {
		t.Errorf("without the other guest: %+v", at)
	}
	r.paired.Unchanged(t)
	r.detach(t)
}

// recreations are the calls that recreate a pair.
var recreations = map[string]func(*pipework.Attacher, context.Context, pipework.Target, pipework.Spec) (*pipework.Attachment, error){
	"attach": (*pipework.Attacher).Attach,
	"update": (*pipework.Attacher).Update,
}

// TestRecreateFaults makes every step of it fail. Up to the removal all is as it was. After it
// the guest is as without the pair, the error says so, and the same Attach plugs it in.
func TestRecreateFaults(t *testing.T) {
	s := toPeer("10.1.0.1/24")
	for name, do := range recreations {
		t.Run(name, func(t *testing.T) {
			r := newRestarted(t, s)
			before, after := 0, 0
			for n, fails := 1, true; fails; n += contract.Stride() {
				step, removed := 0, false
				fails = false
				ctx := fault.With(t.Context(), func(name string) error {
					if step++; step == n {
						fails = true
						return errFailing
					}
					removed = removed || name == "RTM_DELLINK"
					return nil
				})
				at, err := do(r.Attacher, ctx, r.web, s)
				switch {
				case err == nil && len(at.Mended) == 0: // a step that need not succeed
					r.paired.Unchanged(t)
					continue
				case err == nil:
					r.isRecreated(t, at, s)
					r.detach(t)
				case !removed:
					before++
					r.paired.Unchanged(t)
					continue
				default:
					after++
					if !errors.Is(err, errFailing) || !strings.Contains(err.Error(), "it was removed, and could not be recreated: ") {
						t.Errorf("step %d: %v", n, err)
					}
					r.bare.Unchanged(t)
				}
				r.before(t, s)
			}
			if before == 0 || after == 0 {
				t.Errorf("%d steps failed before the removal, and %d after it", before, after)
			}
			r.detach(t)
		})
	}
}

// before has the pair lead to the namespace of before.
func (r *restarted) before(t *testing.T, s pipework.Spec) {
	t.Helper()
	now := r.peer.now
	r.peer.now = r.former
	r.attach(t, s)
	r.peer.now = now
}

// TestRecreateInterrupted ends the context at every step of it: then all is as it was, or the
// pair is recreated.
func TestRecreateInterrupted(t *testing.T) {
	s := toPeer("10.1.0.1/24")
	for name, do := range recreations {
		t.Run(name, func(t *testing.T) {
			r := newRestarted(t, s)
			stopped, finished := 0, 0
			for n, ended := 1, true; ended; n += contract.Stride() {
				step := 0
				ended = false
				ctx, cancel := context.WithCancel(t.Context())
				ctx = fault.With(ctx, func(string) error {
					if step++; step == n {
						ended = true
						cancel()
					}
					return nil
				})
				at, err := do(r.Attacher, ctx, r.web, s)
				cancel()
				if err != nil {
					stopped++
					if !errors.Is(err, context.Canceled) {
						t.Errorf("step %d: %v", n, err)
					}
					r.paired.Unchanged(t)
					continue
				}
				finished++
				r.isRecreated(t, at, s)
				r.detach(t)
				r.before(t, s)
			}
			if stopped == 0 || finished < 2 {
				t.Errorf("%d calls stopped, and %d were finished", stopped, finished)
			}
			r.detach(t)
		})
	}
}

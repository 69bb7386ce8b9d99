//go:build linux

package pipework_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A restarting peer has the name docker:db, and begins anew while its network namespace of
// before lives on.
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

// TestRecreatePair has the other guest of a pair begin anew while something keeps the network
// namespace that it had: the same attach, or a further one, makes the pair anew.
func TestRecreatePair(t *testing.T) {
	for name, again := range map[string]pipework.Spec{"the same": toPeer("10.1.0.1/24"), "a further address": toPeer("10.1.0.2/24")} {
		t.Run(name, func(t *testing.T) {
			web, g := nstest.Guest(t)
			nstest.Uplink(t, g)
			before, former := nstest.Guest(t)
			after, present := nstest.Guest(t)
			world, own := nstest.Observe(t, g.Handle, former.Handle, present.Handle), defaults(t, g)
			peer := &restartingPeer{before}
			a := &pipework.Attacher{Find: peer.find}
			first, err := a.Attach(t.Context(), web, toPeer("10.1.0.1/24"))
			must(t, err)
			peer.now = after
			at, err := a.Check(t.Context(), web, toPeer("10.1.0.1/24"))
			if err != nil || len(at.Drifts) != 1 || !strings.Contains(at.Drifts[0], "the other end of eth1 is not in") {
				t.Errorf("check: %+v, %v", at, err)
			}
			at, err = a.Attach(t.Context(), web, again)
			must(t, err)
			if at.Existed || at.MAC.String() != first.MAC.String() || !slices.Equal(at.Displaced, first.Displaced) {
				t.Errorf("attach again: %+v, and first %+v", at, first)
			}
			if at, err := a.Check(t.Context(), web, again); err != nil || len(at.Drifts) > 0 || !slices.Equal(at.Addrs, again.Addrs) {
				t.Errorf("check: %+v, %v", at, err)
			}
			nstest.Ping(t, g.Handle, "10.1.0.254")
			if _, err := open(t, former).LinkByName("eth5"); err == nil {
				t.Error("the namespace that the other guest had has an end yet")
			}
			if at, err = a.Attach(t.Context(), web, again); err != nil || !at.Existed || len(at.Mended) > 0 {
				t.Errorf("attach once more: %+v, %v", at, err)
			}
			_, err = a.Detach(t.Context(), web, pipework.Spec{})
			must(t, err)
			if now := defaults(t, g); !slices.Equal(now, own) {
				t.Errorf("default routes %q, and before %q", now, own)
			}
			world.Unchanged(t)
		})
	}
}

// TestRecreateNoPair has the pair stay as it is where it could not be made anew, or is asked
// for otherwise; and what fails before the pair is removed changes nothing.
func TestRecreateNoPair(t *testing.T) {
	web, g := nstest.Guest(t)
	before, former := nstest.Guest(t)
	after, present := nstest.Guest(t)
	peer := &restartingPeer{before}
	a := &pipework.Attacher{Find: peer.find}
	s := toPeer("10.1.0.1/24")
	_, err := a.Attach(t.Context(), web, s)
	must(t, err)
	world := nstest.Observe(t, g.Handle, former.Handle, present.Handle)

	peer.now = after
	other := toPeer("10.1.0.7/24")
	other.Add = false
	if at, err := a.Attach(t.Context(), web, other); err == nil {
		t.Errorf("another Spec: %+v", at)
	}
	for n := 1; ; n++ {
		step, fails := 0, false
		ctx := fault.With(t.Context(), func(name string) error {
			if step++; step == n {
				fails = true
				return errFailing
			}
			if name == "RTM_DELLINK" { // which comes last
				return errFailing
			}
			return nil
		})
		if at, err := a.Attach(ctx, web, s); err == nil && !at.Existed {
			t.Errorf("step %d: %+v", n, at)
		}
		world.Unchanged(t)
		if !fails {
			break
		}
	}

	forging(t, present, "", func(f forger) { f.veth("eth5", 0) })
	if at, err := a.Attach(t.Context(), web, s); err != nil || !at.Existed || !slices.ContainsFunc(at.Warnings, func(w string) bool { return strings.Contains(w, "is not in") }) {
		t.Errorf("with another eth5 there: %+v, %v", at, err)
	}
	forging(t, present, "", func(f forger) { f.must(f.LinkDel(f.link("eth5"))) })
	peer.now = "nowhere"
	if at, err := a.Attach(t.Context(), web, s); err == nil {
		t.Errorf("without the other guest: %+v", at)
	}
	world.Unchanged(t)
	_, err = a.Detach(t.Context(), web, s)
	must(t, err)
}

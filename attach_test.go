//go:build linux

package pipework_test

import (
	"net/netip"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
)

func spec(bridge string, words ...string) pipework.Spec {
	s := pipework.Spec{Link: link.Bridge{Name: bridge}}
	for _, w := range words {
		if p, err := netip.ParsePrefix(w); err == nil {
			s.Addrs = append(s.Addrs, p)
		} else {
			s.Gateways = append(s.Gateways, netip.MustParseAddr(w))
		}
	}
	return s
}

func TestTwoGuestsReachEachOther(t *testing.T) {
	a, ga := nstest.Guest(t)
	b, gb := nstest.Guest(t)
	world := nstest.Observe(t, ga.Handle, gb.Handle)
	at, err := pipework.Attach(t.Context(), a, spec("br1", "10.0.0.1/24", "fd00::1/64", "10.0.0.254"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", at)
	if _, err := pipework.Attach(t.Context(), b, spec("br1", "10.0.0.2/24", "fd00::2/64")); err != nil {
		t.Fatal(err)
	}
	nstest.Ping(t, ga.Handle, "10.0.0.2")
	nstest.Ping(t, gb.Handle, "10.0.0.1")
	nstest.Ping(t, ga.Handle, "fd00::2")
	if err := pipework.Detach(t.Context(), a, pipework.Spec{}); err != nil {
		t.Error(err)
	}
	if err := pipework.Detach(t.Context(), b, spec("br1")); err != nil {
		t.Error(err)
	}
	world.Unchanged(t)
}

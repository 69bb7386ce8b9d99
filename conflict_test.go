//go:build linux

package pipework_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
)

// TestAddressInUse tells of another host that has the address: in the time that the call
// takes anyway, in the time that it is given, and when Check looks for it.
func TestAddressInUse(t *testing.T) {
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	first, _ := nstest.Guest(t)
	had := attach(t, first, spec("eth1", "lan", "10.1.0.2/24"))
	second, g := nstest.Guest(t)
	quick, patient := pipework.Attacher{}, pipework.Attacher{Probe: 3 * time.Second / 10}
	says := func(what string, at *pipework.Attachment, err error, times int) {
		t.Helper()
		want := "another host, " + had.MAC.String() + ", has 10.1.0.2 too"
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := strings.Count(strings.Join(at.Warnings, "\n"), want); got != times || len(at.Warnings) != times {
			t.Errorf("%s: %d times, want %d: %q", what, got, times, at.Warnings)
		}
	}
	s := spec("eth1", "lan", "10.1.0.2/24", "fd01::2/64") // checking IPv6 takes a second
	at, err := quick.Attach(t.Context(), second, s)
	says("attach", at, err, 1)
	at, err = patient.Check(t.Context(), second, s)
	says("check", at, err, 1)
	at, err = quick.Check(t.Context(), second, s)
	says("check that sends nothing", at, err, 0)
	detach(t, second, s)
	s.Addrs = s.Addrs[:1]
	at, err = patient.Attach(t.Context(), second, s)
	says("attach with a time", at, err, 1)
	detach(t, first, pipework.Spec{})
	at, err = patient.Attach(t.Context(), second, s)
	says("attach again, without the other", at, err, 0)
	other := spec("eth2", "lan", "10.1.0.3/24") // which answers for all addresses of the guest
	at, err = patient.Attach(t.Context(), second, other)
	says("another interface of the guest", at, err, 0)
	at, err = patient.Check(t.Context(), second, s)
	says("check with another interface of the guest", at, err, 0)
	ip(t, g, "ip", "link", "set", "eth1", "down")
	at, err = patient.Check(t.Context(), second, s)
	says("check of an interface that is down", at, err, 0)
	detach(t, second, other)
	detach(t, second, s)
}

// TestAddressInUseByNobody has others send, while Check looks for who has the address, what
// does not say that they have it.
func TestAddressInUseByNobody(t *testing.T) {
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	first, g := nstest.Guest(t)
	attach(t, first, spec("eth1", "lan", "10.1.0.3/24"))
	second, _ := nstest.Guest(t)
	attach(t, second, spec("eth1", "lan", "10.1.0.2/24"))
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 0x10}
	for name, row := range map[string]struct {
		mac  net.HardwareAddr
		vlan uint16
		told int
	}{
		"a reply":            {mac, 0, 1},
		"a probe":            {nil, 0, 0},
		"a reply of VLAN 10": {mac, 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			patient := pipework.Attacher{Probe: 300 * time.Millisecond}
			sent := 0
			ctx := fault.With(t.Context(), func(step string) error {
				if step == "send ARP" { // it listens by now
					sent++
					nstest.SendARP(t, g, row.mac, netip.MustParseAddr("10.1.0.2"), row.vlan)
				}
				return nil
			})
			at, err := patient.Check(ctx, second, spec("eth1", "lan", "10.1.0.2/24"))
			if sent == 0 || err != nil {
				t.Fatal(sent, err)
			}
			if len(at.Warnings) != row.told {
				t.Errorf("warnings: %q", at.Warnings)
			}
		})
	}
	detach(t, first, pipework.Spec{})
	detach(t, second, pipework.Spec{})
}

// TestAddressInUseIsNotKnown has Check fail to send: what differs is told all the same.
func TestAddressInUseIsNotKnown(t *testing.T) {
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	target, g := nstest.Guest(t)
	s := spec("eth1", "lan", "10.1.0.2/24")
	attach(t, target, s)
	ip(t, g, "ip", "addr", "add", "10.2.0.3/24", "dev", "eth1")
	ip(t, g, "ip", "addr", "del", "10.1.0.2/24", "dev", "eth1")
	ctx := fault.With(t.Context(), func(step string) error {
		if step == "send ARP" {
			return unix.ENOBUFS
		}
		return nil
	})
	patient := pipework.Attacher{Probe: 30 * time.Millisecond}
	at, err := patient.Check(ctx, target, s)
	if err != nil {
		t.Fatal(err)
	}
	if len(at.Drifts) == 0 || len(at.Warnings) != 1 || !strings.Contains(at.Warnings[0], "is not known") {
		t.Errorf("drifts %q, warnings %q", at.Drifts, at.Warnings)
	}
	detach(t, target, s)
}

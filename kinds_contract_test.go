//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
)

// TestKindsContract runs the contract for what stands on a NIC, or on nothing.
func TestKindsContract(t *testing.T) {
	for _, c := range []struct {
		name  string
		kinds []string // that the kernel has to have
		link  link.Backend
		contract.Case
	}{
		{"macvlan", nil, link.Macvlan{Parent: "nic0"}, contract.Case{Peers: true, Many: true}},
		{"macvlan private", nil, link.Macvlan{Parent: "nic0", Mode: link.MacvlanPrivate}, contract.Case{}},
		{"macvlan moved in", nil, slow{link.Macvlan{Parent: "nic0"}}, contract.Case{Peers: true}},
		{"macvlan on a VLAN", []string{"vlan"}, link.Macvlan{Parent: "nic0", VLAN: 100}, contract.Case{Peers: true}},
		{"ipvlan l2", []string{"ipvlan"}, link.Ipvlan{Parent: "nic0"}, contract.Case{Peers: true, NoMAC: true}},
		{"ipvlan l3", []string{"ipvlan"}, link.Ipvlan{Parent: "nic0", Mode: link.IpvlanL3}, contract.Case{Peers: true, NoMAC: true}},
		{"ipvlan l3s", []string{"ipvlan"}, link.Ipvlan{Parent: "nic0", Mode: link.IpvlanL3S}, contract.Case{Peers: true, NoMAC: true}},
		{"ipvlan on a VLAN", []string{"ipvlan", "vlan"}, link.Ipvlan{Parent: "nic0", VLAN: 100}, contract.Case{Peers: true, NoMAC: true}},
		{"VLAN", []string{"vlan"}, link.VLAN{Parent: "nic0", VLAN: 100}, contract.Case{Alone: true}},
		{"VLAN moved in", []string{"vlan"}, slow{link.VLAN{Parent: "nic0", VLAN: 100}}, contract.Case{Alone: true}},
		{"dummy", []string{"dummy"}, link.Dummy{}, contract.Case{}},
		{"dummy moved in", []string{"dummy"}, slow{link.Dummy{}}, contract.Case{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			needs(t, c.kinds...)
			c.Setup = func(t testing.TB) link.Backend {
				addNIC(t, "nic0")
				return c.link
			}
			contract.Run(t, c.Case)
		})
	}
}

// slow is a backend on a kernel that makes no links in other namespaces.
type slow struct{ link.Backend }

func (s slow) Plug(ctx context.Context, p *link.Port, u *link.Undo) error {
	inner := ctx
	return s.Backend.Plug(fault.With(ctx, func(step string) error {
		if step == "create in place" {
			return unix.EINVAL
		}
		return fault.Step(inner, step)
	}), p, u)
}

// addNIC makes what stands for a NIC of the host, for the length of the test: up,
// and with carrier, since the veth's other end is up in a namespace of its own.
func addNIC(t testing.TB, name string) *netlink.Veth {
	t.Helper()
	_, outside := nstest.Guest(t)
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	v := &netlink.Veth{LinkAttrs: attrs(name), PeerName: "switch", PeerNamespace: netlink.NsFd(outside.NetNS())}
	v.Flags = 1 // net.FlagUp
	if err := h.LinkAdd(v); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { del(t, name) })
	at, err := netlink.NewHandleAt(outside.NetNS(), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = at.Close() }()
	peer, err := at.LinkByName("switch")
	if err != nil {
		t.Fatal(err)
	}
	if err := at.LinkSetUp(peer); err != nil {
		t.Fatal(err)
	}
	return v
}

// needs skips the test where the kernel lacks a kind of link; a lane has all
// that its tests need.
func needs(t *testing.T, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		if hasKind(t, kind) {
			continue
		}
		if lane := os.Getenv("PIPEWORK_LANE"); lane != "" {
			t.Fatalf("lane %s has no %s links", lane, kind)
		}
		t.Skipf("this kernel has no %s links", kind)
	}
}

// hasKind asks for a link of the kind without what it needs: what the kernel does
// not know, it says so of.
func hasKind(t testing.TB, kind string) bool {
	t.Helper()
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	req.AddData(&nl.IfInfomsg{})
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated("probe")))
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(kind))
	req.AddData(info)
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	if err == nil {
		del(t, "probe")
	}
	return !errors.Is(err, unix.EOPNOTSUPP)
}

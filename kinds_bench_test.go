//go:build linux

package pipework_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A macvlanFloor is the [floor] of a macvlan: ask for the parent, make the
// interface, and then the same in the guest, where its carrier is asked for too.
type macvlanFloor struct{ *floor }

func newMacvlanFloor(t testing.TB, g *ns.Guest, nic *net.Interface) macvlanFloor {
	f := macvlanFloor{newFloor(t, g, nic, "unused")}
	name := nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated("eth9"))
	create := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("macvlan"))
	info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.IFLA_MACVLAN_MODE, nl.Uint32Attr(nl.MACVLAN_MODE_BRIDGE))
	for _, part := range []nl.NetlinkRequestData{
		&nl.IfInfomsg{}, name, nl.NewRtAttr(unix.IFLA_ADDRESS, link.RandomMAC()),
		nl.NewRtAttr(unix.IFLA_LINK, nl.Uint32Attr(uint32(nic.Index))),
		nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(g.NetNS()))), info,
	} {
		create.AddData(part)
	}
	f.before = [][]byte{f.before[0], create.Serialize()}
	return f
}

func (f macvlanFloor) attach(index int) {
	for _, msg := range f.before {
		f.send(f.host, msg)
	}
	binary.NativeEndian.PutUint32(f.inGuest[2][20:], uint32(index))
	route := f.inGuest[4]
	binary.NativeEndian.PutUint32(route[len(route)-4:], uint32(index))
	for _, msg := range f.inGuest {
		f.send(f.guest, msg)
	}
	for binary.NativeEndian.Uint32(f.send(f.guest, f.inGuest[1])[16+8:])&unix.IFF_RUNNING == 0 {
		time.Sleep(50 * time.Microsecond)
	}
	f.announce(index)
}

// BenchmarkAttachMacvlanOverFloor runs the floor and Attach in turn, each on a
// guest of its own, and reports both medians and their ratio. There are few macvlans
// on the NIC, and no firewall sees what passes between them.
func BenchmarkAttachMacvlanOverFloor(b *testing.B) {
	addNIC(b, "nic0")
	nic, err := net.InterfaceByName("nic0")
	must(b, err)
	var pairs []*macvlanPair
	for range batch {
		_, g := nstest.Guest(b)
		target, other := nstest.Guest(b)
		pairs = append(pairs, &macvlanPair{newMacvlanFloor(b, g, nic), 2, target, [2]*ns.Guest{g, other}})
	}
	s := pipework.Spec{
		Name: "eth9", Link: link.Macvlan{Parent: "nic0"},
		Addrs:    []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")},
		Gateways: []netip.Addr{netip.MustParseAddr("10.9.0.1")},
	}
	var floors, attaches []time.Duration
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%batch == 0 && n > 0 {
			b.StopTimer()
			for _, p := range pairs {
				p.unplug(b)
			}
			b.StartTimer()
		}
		p := pairs[n%batch]
		if n%2 == 0 { // neither always comes second
			floors = append(floors, p.runFloor())
		}
		start := time.Now()
		_, err := pipework.Attach(b.Context(), p.target, s)
		attaches = append(attaches, time.Since(start))
		must(b, err)
		if n%2 != 0 {
			floors = append(floors, p.runFloor())
		}
	}
	report(b, floors, attaches)
}

// A macvlanPair is a guest for the floor and a guest for Attach.
type macvlanPair struct {
	floor  macvlanFloor
	index  int // of the next interface in the floor's guest
	target ns.Named
	guests [2]*ns.Guest
}

func (p *macvlanPair) runFloor() time.Duration {
	start := time.Now()
	p.floor.attach(p.index)
	return time.Since(start)
}

func (p *macvlanPair) unplug(b *testing.B) {
	for _, g := range p.guests {
		h, err := netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
		must(b, err)
		l, err := h.LinkByName("eth9")
		must(b, err)
		must(b, h.LinkDel(l))
		must(b, h.Close())
	}
	p.index++
}

//go:build linux

package pipework_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A floor sends what Attach sends, all of it encoded beforehand, on sockets that
// are open already, and reads no more of the answers than their errno: ask for
// the bridge; create the pair; mark the host's end; mark the guest's end, set it
// up and ask for it; address; list and set default routes; ask the host's end
// whether it forwards; and the frames that look for others with the address, and announce
// it.
type floor struct {
	t           testing.TB
	host, guest int // netlink sockets
	packet      int
	before      [][]byte // on the host: bridge, pair, mark
	askHost     []byte
	remove      []byte
	inGuest     [][]byte // mark and up, ask, address, list, route
	frames      [][]byte
	seq         uint32
	buf         []byte
	name        string           // of the host's end
	mac         net.HardwareAddr // of the guest's end
}

func newFloor(t testing.TB, g *ns.Guest, bridge *net.Interface, name string) *floor {
	f := &floor{t: t, buf: make([]byte, 1<<15), name: name}
	f.host = f.socket(unix.AF_NETLINK, unix.NETLINK_ROUTE)
	err := g.Do(t.Context(), func() error {
		f.guest = f.socket(unix.AF_NETLINK, unix.NETLINK_ROUTE)
		f.packet = f.socket(unix.AF_PACKET, 0)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(f.host); _ = unix.Close(f.guest); _ = unix.Close(f.packet) })
	mac := link.RandomMAC()
	f.mac = mac
	f.encode(g, bridge, mac)
	ip := netip.MustParseAddr("10.9.0.2")
	for _, says := range []struct {
		op     arp.Operation
		from   netip.Addr
		target net.HardwareAddr
	}{
		{arp.OperationRequest, netip.IPv4Unspecified(), make(net.HardwareAddr, 6)},
		{arp.OperationRequest, ip, make(net.HardwareAddr, 6)},
		{arp.OperationReply, ip, ethernet.Broadcast},
	} {
		pkt, err := arp.NewPacket(says.op, mac, says.from, says.target, ip)
		if err != nil {
			t.Fatal(err)
		}
		payload, _ := pkt.MarshalBinary()
		frame, _ := (&ethernet.Frame{Destination: ethernet.Broadcast, Source: mac, EtherType: ethernet.EtherTypeARP, Payload: payload}).MarshalBinary()
		f.frames = append(f.frames, frame)
	}
	return f
}

func (f *floor) socket(domain, proto int) int {
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		f.t.Fatal(err)
	}
	return fd
}

const alias = "pipework link=bridge:br9 interface=eth9 spec=0123456789abcdef containername=netns:g1"

func (f *floor) encode(g *ns.Guest, bridge *net.Interface, mac net.HardwareAddr) {
	up := func() *nl.IfInfomsg {
		return &nl.IfInfomsg{IfInfomsg: unix.IfInfomsg{Flags: unix.IFF_UP, Change: unix.IFF_UP}}
	}
	name := func(s string) *nl.RtAttr { return nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(s)) }
	message := func(kind, flags int, parts ...nl.NetlinkRequestData) []byte {
		if kind != unix.RTM_GETLINK && kind != unix.RTM_GETROUTE {
			flags |= unix.NLM_F_ACK
		}
		req := nl.NewNetlinkRequest(kind, flags)
		for _, p := range parts {
			req.AddData(p)
		}
		return req.Serialize()
	}
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddChild(name("eth9"))
	peer.AddRtAttr(unix.IFLA_ADDRESS, mac)
	peer.AddRtAttr(unix.IFLA_MTU, nl.Uint32Attr(1500))
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(g.NetNS())))
	create := unix.NLM_F_CREATE | unix.NLM_F_EXCL
	ask := func(ifname string) []byte {
		return message(unix.RTM_GETLINK, 0, &nl.IfInfomsg{}, nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(1<<3)), name(ifname))
	}
	pair := message(unix.RTM_NEWLINK, create, up(), name(f.name), nl.NewRtAttr(unix.IFLA_ADDRESS, link.RandomMAC()),
		nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(1500)), nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(bridge.Index))), info)
	markHost := message(unix.RTM_SETLINK, 0, up(), name(f.name), nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(alias)))
	f.before = [][]byte{ask(bridge.Name), pair, markHost}
	f.askHost = ask(f.name)
	f.remove = message(unix.RTM_DELLINK, 0, &nl.IfInfomsg{}, name(f.name))
	gw := []byte{10, 9, 0, 1}
	f.inGuest = [][]byte{
		message(unix.RTM_SETLINK, 0, up(), name("eth9"), nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(alias))),
		ask("eth9"),
		message(unix.RTM_NEWADDR, create, &nl.IfAddrmsg{IfAddrmsg: unix.IfAddrmsg{Family: unix.AF_INET, Prefixlen: 24}},
			nl.NewRtAttr(unix.IFA_LOCAL, []byte{10, 9, 0, 2}), nl.NewRtAttr(unix.IFA_ADDRESS, []byte{10, 9, 0, 2}), nl.NewRtAttr(unix.IFA_BROADCAST, []byte{10, 9, 0, 255})),
		message(unix.RTM_GETROUTE, unix.NLM_F_DUMP, &nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_INET}}, nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(unix.RT_TABLE_MAIN))),
		message(unix.RTM_NEWROUTE, create, &nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_INET, Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_BOOT, Type: unix.RTN_UNICAST}},
			nl.NewRtAttr(unix.RTA_GATEWAY, gw), nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(0))),
	}
}

// send sends one message and returns the payload of its acknowledgement.
func (f *floor) send(fd int, msg []byte) []byte {
	f.seq++
	binary.NativeEndian.PutUint32(msg[8:], f.seq)
	if _, err := unix.Write(fd, msg); err != nil {
		f.t.Fatal(err)
	}
	n, err := unix.Read(fd, f.buf)
	if err != nil {
		f.t.Fatal(err)
	}
	switch binary.NativeEndian.Uint16(f.buf[4:]) {
	case unix.NLMSG_ERROR:
		if errno := -int32(binary.NativeEndian.Uint32(f.buf[16:])); errno != 0 {
			f.t.Fatalf("message type %d: %v", binary.NativeEndian.Uint16(msg[4:]), unix.Errno(errno))
		}
	case unix.NLMSG_DONE: // of an empty list
	case unix.RTM_NEWROUTE: // a list goes on in the next datagram
		f.receive(fd, n)
	}
	return f.buf[:n]
}

func (f *floor) receive(fd, from int) {
	if _, err := unix.Read(fd, f.buf[from:]); err != nil {
		f.t.Fatal(err)
	}
}

// attach does the work; index is what the guest's end is going to have.
func (f *floor) attach(index int) {
	for _, msg := range f.before {
		f.send(f.host, msg)
	}
	binary.NativeEndian.PutUint32(f.inGuest[2][20:], uint32(index))
	route := f.inGuest[4]
	binary.NativeEndian.PutUint32(route[len(route)-4:], uint32(index))
	for _, msg := range f.inGuest {
		f.send(f.guest, msg)
	}
	for !f.forwards() {
		time.Sleep(50 * time.Microsecond)
	}
	f.announce(index)
}

func (f *floor) announce(index int) {
	to := unix.SockaddrLinklayer{Ifindex: index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	for _, frame := range f.frames {
		if err := unix.Sendto(f.packet, frame, 0, &to); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *floor) detach() { f.send(f.host, f.remove) }

// forwards asks once whether the host's end has carrier; its port state follows.
func (f *floor) forwards() bool {
	flags := binary.NativeEndian.Uint32(f.send(f.host, f.askHost)[16+8:])
	return flags&unix.IFF_RUNNING != 0
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// batch is how many guests are plugged in before all of them are unplugged in
// one message: one at a time would leave the machine idle for a grace period
// after each, and measure cold caches.
const batch = 10

// BenchmarkAttachBridge runs the floor and Attach in turn, each on a guest of
// its own, and reports both medians and their ratio, with few guests and with a
// thousand on the bridge. These live, and Docker's firewall is there: the kernel
// hands each of the three frames about the address to every guest, through
// the firewall, while the sender waits, for the floor as for Attach. Only Attach
// looks whether the firewall lets frames pass.
func BenchmarkAttachBridge(b *testing.B) {
	for _, others := range []int{2, 1000} {
		b.Run(fmt.Sprintf("guests=%d", others), func(b *testing.B) {
			all := crowd(b, others)
			ear := listen(b, all[others-1])
			br, err := net.InterfaceByName("br9")
			if err != nil {
				b.Fatal(err)
			}
			var pairs []*pair
			for i := range batch {
				pairs = append(pairs, newPair(b, br, i))
			}
			s := pipework.Spec{Name: "eth9", Link: link.Bridge{Name: "br9"}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")},
				Gateways: []netip.Addr{netip.MustParseAddr("10.9.0.1")}}
			var floors, attaches []time.Duration
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%batch == 0 && n > 0 {
					b.StopTimer()
					unplugAll(b, pairs)
					b.StartTimer()
				}
				p := pairs[n%batch]
				if n%2 == 0 { // neither always comes second
					floors = append(floors, p.runFloor())
				}
				attaches = append(attaches, p.runAttach(b, s))
				if n%2 != 0 {
					floors = append(floors, p.runFloor())
				}
			}
			unplugAll(b, pairs)
			ear.hears(b, pairs[0].floor.mac, pairs[0].mac)
			report(b, floors, attaches)
		})
	}
}

func report(b *testing.B, floors, ours []time.Duration) {
	b.ReportMetric(float64(median(floors).Microseconds()), "floor-µs")
	b.ReportMetric(float64(median(ours).Microseconds()), "ours-µs")
	b.ReportMetric(float64(median(ours))/float64(median(floors)), "ratio")
}

// BenchmarkDetach removes what the floor and Attach made, one at a time: the
// floor by the one message that removes a pair. The kernel waits for grace
// periods in both.
func BenchmarkDetach(b *testing.B) {
	crowd(b, 2)
	br, err := net.InterfaceByName("br9")
	if err != nil {
		b.Fatal(err)
	}
	p := newPair(b, br, 0)
	s := pipework.Spec{Name: "eth9", Link: link.Bridge{Name: "br9"}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")},
		Gateways: []netip.Addr{netip.MustParseAddr("10.9.0.1")}}
	var floors, detaches []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		p.runFloor()
		p.runAttach(b, s)
		p.index++
		b.StartTimer()
		start := time.Now()
		p.floor.detach()
		floors = append(floors, time.Since(start))
		start = time.Now()
		if _, err := pipework.Detach(b.Context(), p.target, s); err != nil {
			b.Fatal(err)
		}
		detaches = append(detaches, time.Since(start))
	}
	report(b, floors, detaches)
}

// A pair is a guest for the floor and a guest for Attach.
type pair struct {
	floor    *floor
	index    int // of the next interface in the floor's guest
	target   ns.Named
	hostName string
	mac      net.HardwareAddr // of the guest that Attach plugged in first
}

func newPair(b *testing.B, br *net.Interface, i int) *pair {
	_, g := nstest.Guest(b)
	target, other := nstest.Guest(b)
	silence(b, g.Handle)
	silence(b, other.Handle)
	return &pair{floor: newFloor(b, g, br, fmt.Sprintf("vfloor%d", i)), index: 2, target: target}
}

func (p *pair) runFloor() time.Duration {
	start := time.Now()
	p.floor.attach(p.index)
	return time.Since(start)
}

func (p *pair) runAttach(b *testing.B, s pipework.Spec) time.Duration {
	start := time.Now()
	at, err := pipework.Attach(b.Context(), p.target, s)
	took := time.Since(start)
	if err != nil {
		b.Fatal(err)
	}
	p.hostName = at.HostName
	if p.mac == nil {
		p.mac = net.HardwareAddr(at.MAC)
	}
	return took
}

// unplugAll removes what the floors and the Attaches made, in one message.
func unplugAll(b *testing.B, pairs []*pair) {
	const group = 8
	n := 0
	for _, p := range pairs {
		if p.hostName == "" {
			continue
		}
		setGroup(b, p.hostName, group)
		setGroup(b, p.floor.name, group)
		p.hostName = ""
		p.index++
		n++
	}
	if n > 0 {
		delGroup(b, group)
	}
}

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

// A floor plugs a guest in with the fewest messages that the kernel can do it
// with, all of them encoded beforehand, on sockets that are open already: create
// the pair, mark the host's end, mark the guest's end and set it up, address,
// default route, and the two frames that announce it, once the port forwards.
type floor struct {
	t           testing.TB
	host, guest int // netlink sockets
	packet      int
	create      []byte
	markHost    []byte
	askHost     []byte
	inGuest     [][]byte // mark and up, address, route
	frames      [][]byte
	seq         uint32
	buf         []byte
}

func newFloor(t testing.TB, g *ns.Guest, bridge *net.Interface, mtu int) *floor {
	f := &floor{t: t, buf: make([]byte, 1<<16)}
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
	f.encode(g, bridge, mac, mtu)
	for _, op := range []arp.Operation{arp.OperationRequest, arp.OperationReply} {
		ip := netip.MustParseAddr("10.9.0.2")
		pkt, err := arp.NewPacket(op, mac, ip, ethernet.Broadcast, ip)
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

func (f *floor) encode(g *ns.Guest, bridge *net.Interface, mac net.HardwareAddr, mtu int) {
	up := func() *nl.IfInfomsg {
		return &nl.IfInfomsg{IfInfomsg: unix.IfInfomsg{Flags: unix.IFF_UP, Change: unix.IFF_UP}}
	}
	name := func(s string) *nl.RtAttr { return nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(s)) }
	message := func(kind, flags int, parts ...nl.NetlinkRequestData) []byte {
		req := nl.NewNetlinkRequest(kind, flags|unix.NLM_F_ACK)
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
	peer.AddRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu)))
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(g.NetNS())))
	create := unix.NLM_F_CREATE | unix.NLM_F_EXCL
	f.create = message(unix.RTM_NEWLINK, create, up(), name("vfloor"), nl.NewRtAttr(unix.IFLA_ADDRESS, link.RandomMAC()),
		nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))), nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(bridge.Index))), info)
	f.markHost = message(unix.RTM_SETLINK, 0, up(), name("vfloor"), nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(alias)))
	f.askHost = message(unix.RTM_GETLINK, 0, &nl.IfInfomsg{}, name("vfloor"))
	gw := []byte{10, 9, 0, 1}
	f.inGuest = [][]byte{
		message(unix.RTM_SETLINK, 0, up(), name("eth9"), nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(alias))),
		message(unix.RTM_NEWADDR, create, &nl.IfAddrmsg{IfAddrmsg: unix.IfAddrmsg{Family: unix.AF_INET, Prefixlen: 24}},
			nl.NewRtAttr(unix.IFA_LOCAL, []byte{10, 9, 0, 2}), nl.NewRtAttr(unix.IFA_ADDRESS, []byte{10, 9, 0, 2}), nl.NewRtAttr(unix.IFA_BROADCAST, []byte{10, 9, 0, 255})),
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
	if kind := binary.NativeEndian.Uint16(f.buf[4:]); kind == unix.NLMSG_ERROR {
		if errno := -int32(binary.NativeEndian.Uint32(f.buf[16:])); errno != 0 {
			f.t.Fatalf("message type %d: %v", binary.NativeEndian.Uint16(msg[4:]), unix.Errno(errno))
		}
	} else if _, err := unix.Read(fd, f.buf[n:]); err != nil { // the acknowledgement behind the answer
		f.t.Fatal(err)
	}
	return f.buf[:n]
}

// attach does the work; index is what the guest's end is going to have.
func (f *floor) attach(index int) {
	f.send(f.host, f.create)
	f.send(f.host, f.markHost)
	binary.NativeEndian.PutUint32(f.inGuest[1][20:], uint32(index))
	route := f.inGuest[2]
	binary.NativeEndian.PutUint32(route[len(route)-4:], uint32(index))
	for _, msg := range f.inGuest {
		f.send(f.guest, msg)
	}
	for !f.forwards() {
		time.Sleep(50 * time.Microsecond)
	}
	to := unix.SockaddrLinklayer{Ifindex: index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	for _, frame := range f.frames {
		if err := unix.Sendto(f.packet, frame, 0, &to); err != nil {
			f.t.Fatal(err)
		}
	}
}

// forwards asks once whether the host's end has carrier; its port state follows.
func (f *floor) forwards() bool {
	flags := binary.NativeEndian.Uint32(f.send(f.host, f.askHost)[16+8:])
	return flags&unix.IFF_RUNNING != 0
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// BenchmarkAttachOverFloor runs the floor and Attach in turn, and reports both
// medians and their ratio, with few and with a thousand guests on the bridge.
func BenchmarkAttachOverFloor(b *testing.B) {
	for _, others := range []int{2, 1000} {
		b.Run(fmt.Sprintf("guests=%d", others), func(b *testing.B) {
			name, g := nstest.Guest(b)
			_, crowd := nstest.Guest(b)
			fill(b, crowd, others)
			br, err := net.InterfaceByName("br9")
			if err != nil {
				b.Fatal(err)
			}
			f := newFloor(b, g, br, 1500)
			s := pipework.Spec{Name: "eth9", Link: link.Bridge{Name: "br9"}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")},
				Gateways: []netip.Addr{netip.MustParseAddr("10.9.0.1")}}
			var floors, attaches []time.Duration
			index := 2
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				f.attach(index)
				floors = append(floors, time.Since(start))
				b.StopTimer()
				del(b, "vfloor")
				b.StartTimer()
				start = time.Now()
				at, err := pipework.Attach(b.Context(), name, s)
				attaches = append(attaches, time.Since(start))
				b.StopTimer()
				if err != nil {
					b.Fatal(err)
				}
				index = at.Index + 1
				if err := pipework.Detach(b.Context(), name, s); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(median(floors).Microseconds()), "floor-µs")
			b.ReportMetric(float64(median(attaches).Microseconds()), "attach-µs")
			b.ReportMetric(float64(median(attaches))/float64(median(floors)), "ratio")
		})
	}
}

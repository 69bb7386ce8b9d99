package announce

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

const (
	// carrierTime bounds the wait for an interface to be up and to have carrier.
	carrierTime = 2 * time.Second
	// treeTime bounds the wait for spanning tree: a port listens and learns for 15
	// seconds each by default, and Open vSwitch tells of that up to five seconds later.
	treeTime = 40 * time.Second
	// dadTime bounds duplicate address detection: a random delay of up to one
	// second, and one probe that is waited for a second (RFC 4862, 5.4).
	dadTime = 4 * time.Second
)

// infinibandLen is INFINIBAND_ALEN of linux/if_infiniband.h.
const infinibandLen = 20

// A Sender tells neighbours where addresses are now, so that they need not
// wait for old entries to time out. It sends in the guest it was opened in.
type Sender struct {
	packet int
	err    error
}

// Open opens a Sender on a thread inside the guest: call it from
// ns.Handle.Do. Needs CAP_NET_RAW there; a lack of it is told by Announce.
func Open() *Sender {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // protocol 0 receives nothing
	if errors.Is(err, unix.EPERM) {
		err = errs.New(fs.ErrPermission, "needs CAP_NET_RAW in the guest's network namespace")
	}
	return &Sender{packet: fd, err: err}
}

// Close closes the socket, which waits for an RCU grace period, about 14 ms.
func (a *Sender) Close() {
	if a.err == nil {
		_ = unix.Close(a.packet)
	}
}

// Announce sends a gratuitous ARP request and reply for every IPv4 address (RFC
// 5227 section 3; arping -U and -A), and an unsolicited neighbour advertisement
// for every IPv6 one once duplicate address detection is over (RFC 4861 section
// 7.2.6). It waits until the guest's interface has carrier and the host's end
// forwards, as [WaitForwarding] does. A duplicate IPv6 address is an error that satisfies
// fs.ErrExist.
//
// First it looks for other hosts that have an IPv4 address, see Probe; those that answer
// until it returns are told on p.Warnings.
func (a *Sender) Announce(ctx context.Context, p *link.Port, addrs []netip.Prefix, probe time.Duration) error {
	if len(addrs) == 0 {
		return nil
	}
	l, err := waitForwarding(ctx, p)
	if err != nil || l.NoARP {
		return err // without ARP nobody keeps entries
	}
	if len(p.MAC) != 6 && l.Type != unix.ARPHRD_INFINIBAND {
		return errs.New(errors.ErrUnsupported, "announce %s: only Ethernet and IPoIB addresses can be announced", p.Name)
	}
	var v4, v6 []netip.Addr
	for _, a := range addrs {
		if a.Addr().Is4() {
			v4 = append(v4, a.Addr())
		} else {
			v6 = append(v6, a.Addr())
		}
	}
	others, err := a.search(ctx, p, l, query{addrs: v4, wait: probe})
	err = errors.Join(err, a.announceARP(ctx, p, l, v4), announceND(ctx, p, v6))
	return errors.Join(err, others.tell(ctx, p))
}

// WaitForwarding waits until frames that the guest sends reach others, for two
// seconds at most, or forty where spanning tree keeps them. It says so on p.Warnings when
// it did not come to that, or took more than two seconds.
func WaitForwarding(ctx context.Context, p *link.Port) error {
	_, err := waitForwarding(ctx, p)
	return err
}

// waitForwarding waits until frames that the guest sends reach others. If that
// took a while, it asks for the guest's MAC again. It returns the link that it
// looked at: the host's end, or the guest's interface where there is none.
func waitForwarding(ctx context.Context, p *link.Port) (*rtnl.Link, error) {
	start, last := time.Now(), ""
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, longest(time.Since(start))) {
		l, why, err := blocked(ctx, p)
		took := time.Since(start)
		switch {
		case err != nil:
			return nil, givenUp(ctx, last, err)
		case why.text == "":
			if took > carrierTime {
				p.Warn("frames passed only after %v: %s", took.Round(time.Second), last)
			}
			return l, nil
		case took > why.lasts || p.Blocked == why.text: // which was waited for before
			p.Warn("frames do not pass yet: %s", why.text)
			p.Blocked = why.text
			return l, nil
		}
		last = why.text
		if err := pause.For(ctx, wait); err != nil {
			return nil, givenUp(ctx, last, err)
		}
		guest, err := rtnl.LinkByName(ctx, p.Conn, p.Name)
		if err != nil {
			return nil, givenUp(ctx, last, err)
		}
		p.MAC = guest.MAC
	}
}

// givenUp is err, with why frames did not pass where ctx ended meanwhile.
func givenUp(ctx context.Context, why string, err error) error {
	if ctx.Err() == nil || why == "" {
		return err
	}
	return fmt.Errorf("frames do not pass yet: %s: %w", why, err)
}

// longest is the longest time between two looks, after a while: a spanning tree takes its
// time, and a database is asked each time.
func longest(after time.Duration) time.Duration {
	if after > carrierTime {
		return 100 * time.Millisecond
	}
	return 10 * time.Millisecond
}

// An obstacle is why frames do not pass yet, in one phrase, and how long that is waited
// for.
type obstacle struct {
	text  string // "": they pass
	lasts time.Duration
}

// blocked says why frames do not pass yet. A host's end tells it all: it has carrier only
// when both ends are up.
func blocked(ctx context.Context, p *link.Port) (l *rtnl.Link, why obstacle, err error) {
	c, name := p.Host.Conn, p.HostName
	if name == "" {
		c, name = p.Conn, p.Name
	}
	l, err = rtnl.LinkByName(ctx, c, name)
	switch {
	case err != nil:
		return nil, obstacle{}, err
	case !l.Up:
		return l, obstacle{name + " is down", carrierTime}, nil
	case !l.Running:
		return l, obstacle{name + " has no carrier", carrierTime}, nil
	case l.PortState == brStateDisabled:
		return l, obstacle{"the bridge that " + name + " is a port of is down", carrierTime}, nil
	case l.PortState >= 0 && l.PortState != brStateForwarding:
		return l, obstacle{"the bridge port " + name + " is not forwarding yet (spanning tree)", treeTime}, nil
	case p.Forwarding == nil:
		return l, obstacle{}, nil
	}
	text, err := p.Forwarding(ctx)
	if err != nil && ctx.Err() == nil { // which must not keep the guest from its network
		p.Warn("whether %s forwards is not known: %v", name, err)
		return l, obstacle{}, nil
	}
	return l, obstacle{text, treeTime}, err
}

// BR_STATE_DISABLED, of ports whose bridge is down, too, and BR_STATE_FORWARDING of
// linux/if_bridge.h.
const (
	brStateDisabled   = 0
	brStateForwarding = 3
)

// announceARP sends both forms for every address.
func (a *Sender) announceARP(ctx context.Context, p *link.Port, l *rtnl.Link, addrs []netip.Addr) error {
	if a.err != nil {
		return fmt.Errorf("announce %s: %w", p.Name, a.err)
	}
	for _, addr := range addrs {
		for _, op := range []arp.Operation{arp.OperationRequest, arp.OperationReply} {
			frame, err := gratuitousARP(op, p.MAC, l, addr)
			if err != nil {
				return fmt.Errorf("announce %s: %w", addr, err)
			}
			if err := a.send(ctx, p, frame); err != nil {
				return fmt.Errorf("announce %s: %w", addr, err)
			}
		}
	}
	return nil
}

// send sends a frame to all.
func (a *Sender) send(ctx context.Context, p *link.Port, frame []byte) error {
	if err := fault.Step(ctx, "send ARP"); err != nil {
		return err
	}
	to := unix.SockaddrLinklayer{Ifindex: p.Index, Halen: 6}
	copy(to.Addr[:], ethernet.Broadcast)
	return unix.Sendto(a.packet, frame, 0, &to)
}

// gratuitousARP is a frame in which sender and target are the same address, for
// all that hear broadcasts on l's network.
func gratuitousARP(op arp.Operation, mac net.HardwareAddr, l *rtnl.Link, a netip.Addr) ([]byte, error) {
	everyone := ethernet.Broadcast
	if l.Type == unix.ARPHRD_INFINIBAND {
		everyone = l.Broadcast // has the partition key in it
	}
	target := everyone
	if op == arp.OperationRequest {
		target = make(net.HardwareAddr, len(mac))
	}
	pkt, err := arp.NewPacket(op, mac, a, target, a)
	if err != nil {
		return nil, err
	}
	pkt.HardwareType = l.Type // ARPHRD_* are the numbers of the protocol
	payload, err := pkt.MarshalBinary()
	if err != nil || l.Type == unix.ARPHRD_INFINIBAND {
		return ipoibFrame(everyone, payload), err
	}
	f := ethernet.Frame{Destination: everyone, Source: mac, EtherType: ethernet.EtherTypeARP, Payload: payload}
	return f.MarshalBinary()
}

// announceND waits for duplicate address detection, then advertises.
func announceND(ctx context.Context, p *link.Port, addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return nil
	}
	if err := waitDAD(ctx, p, addrs); err != nil {
		return err
	}
	for _, a := range addrs {
		if err := advertise(ctx, p, a); err != nil {
			return fmt.Errorf("announce %s: %w", a, err)
		}
	}
	return nil
}

func waitDAD(ctx context.Context, p *link.Port, addrs []netip.Addr) error {
	for end := time.Now().Add(dadTime); ; {
		have, err := rtnl.Addrs(ctx, p.Conn, p.Index)
		if err != nil {
			return err
		}
		tentative, err := dadState(p, have, addrs)
		if err != nil || tentative == "" {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("announce %s: duplicate address detection did not end within %v (is there carrier?)", tentative, dadTime)
		}
		if err := pause.For(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// dadState names an address that is still tentative, or fails for one that
// somebody else has.
func dadState(p *link.Port, have []rtnl.Addr, want []netip.Addr) (tentative string, err error) {
	for _, a := range want {
		if !slices.ContainsFunc(have, func(h rtnl.Addr) bool { return h.Prefix.Addr() == a }) {
			return "", errs.New(fs.ErrNotExist, "%s is gone from %s", a, p.Name)
		}
	}
	for _, h := range have {
		for _, a := range want {
			switch {
			case h.Prefix.Addr() != a || h.Usable():
			case h.Duplicate():
				return "", errs.New(fs.ErrExist, "another node has %s already: duplicate address detection failed on %s", a, p.Name)
			default:
				tentative = a.String()
			}
		}
	}
	return tentative, nil
}

// advertise sends one unsolicited neighbour advertisement to all nodes. The
// kernel fills the checksum of a raw ICMPv6 socket (RFC 3542 section 3.1).
func advertise(ctx context.Context, p *link.Port, a netip.Addr) error {
	msg, err := ndp.MarshalMessage(&ndp.NeighborAdvertisement{
		Override: true, TargetAddress: a,
		Options: []ndp.Option{targetOption(p.MAC)},
	})
	if err != nil {
		return err
	}
	var fd int
	err = p.Guest.Do(ctx, func() (err error) {
		fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	// Receivers drop any other hop limit (RFC 4861, 7.1.2).
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet6{Addr: a.As16(), ZoneId: uint32(p.Index)}); err != nil {
		return err
	}
	if err := fault.Step(ctx, "send advertisement"); err != nil {
		return err
	}
	return unix.Sendto(fd, msg, 0, &unix.SockaddrInet6{Addr: netip.IPv6LinkLocalAllNodes().As16(), ZoneId: uint32(p.Index)})
}

// targetOption is the target link-layer address option: an IPoIB address is
// padded at its front (RFC 4391 section 9.3), which package ndp does not do.
func targetOption(mac net.HardwareAddr) ndp.Option {
	if len(mac) == infinibandLen {
		return &ndp.RawOption{Type: uint8(ndp.Target), Length: 3, Value: append([]byte{0, 0}, mac...)}
	}
	return &ndp.LinkLayerAddress{Direction: ndp.Target, Addr: mac}
}

// ipoibFrame is what a raw packet socket of an IPoIB interface takes: the
// receiver's address, which does not go onto the wire, and the header of RFC
// 4391 section 6, which does.
func ipoibFrame(to []byte, payload []byte) []byte {
	frame := append([]byte{}, to...)
	frame = binary.BigEndian.AppendUint16(frame, unix.ETH_P_ARP)
	frame = append(frame, 0, 0)
	return append(frame, payload...)
}

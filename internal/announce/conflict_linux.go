package announce

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/acd"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// unsent are errors of an interface that is busy, or has gone down or away meanwhile.
var unsent = []error{unix.ENOBUFS, unix.ENETDOWN, unix.ENODEV, unix.ENXIO}

// Probe looks for as long for other hosts that have an IPv4 address of the interface (RFC
// 5227 section 2.4), and tells them on p.Warnings, or why that is not known. It changes nothing.
func (a *Sender) Probe(ctx context.Context, p *link.Port, addrs []netip.Prefix, wait time.Duration) error {
	l, err := rtnl.LinkByName(ctx, p.Conn, p.Name)
	if err != nil || l.NoARP || !l.Running {
		return err
	}
	var v4 []netip.Addr
	for _, a := range addrs {
		if a.Addr().Is4() {
			v4 = append(v4, a.Addr())
		}
	}
	others, err := a.search(ctx, p, l, query{v4, wait, true})
	if slices.ContainsFunc(unsent, func(e error) bool { return errors.Is(err, e) }) {
		p.Warn("whether another host has an address of %s is not known: %v", p.Name, err)
		return nil
	}
	if err != nil {
		return err
	}
	return others.tell(ctx, p)
}

// A query is what is asked of the network.
type query struct {
	addrs []netip.Addr
	wait  time.Duration
	inUse bool // for long: who probes for an address now does not have it
}

// others are the hosts that have an address which the interface has, too.
type others struct {
	query
	packet int
	own    net.HardwareAddr
	found  map[netip.Addr]net.HardwareAddr
}

// Answers says whether a host answers to ARP for the address within that time.
func (a *Sender) Answers(ctx context.Context, p *link.Port, addr netip.Addr, wait time.Duration) (bool, error) {
	l, err := rtnl.LinkByName(ctx, p.Conn, p.Name)
	if err != nil {
		return false, err
	}
	if a.err != nil {
		return false, a.err
	}
	o, err := a.search(ctx, p, l, query{[]netip.Addr{addr}, wait, true})
	if o == nil || err != nil {
		return false, err
	}
	o.hear()
	return o.found[addr] != nil, nil
}

// search sends ARP probes for the addresses, and hears for as long who answers; without a
// time it sends one, and tell hears what has come by then.
func (a *Sender) search(ctx context.Context, p *link.Port, l *rtnl.Link, q query) (*others, error) {
	if len(q.addrs) == 0 || a.err != nil || len(p.MAC) != 6 || l.Type == unix.ARPHRD_INFINIBAND {
		return nil, nil
	}
	// A socket of protocol 0 receives nothing before this.
	arpType := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ARP >> 8, unix.ETH_P_ARP & 0xff})
	if err := unix.Bind(a.packet, &unix.SockaddrLinklayer{Protocol: arpType, Ifindex: p.Index}); err != nil {
		return nil, fmt.Errorf("listen for ARP on %s: %w", p.Name, err)
	}
	o := &others{query: q, packet: a.packet, own: p.MAC, found: map[netip.Addr]net.HardwareAddr{}}
	for n := range acd.Probes {
		for _, addr := range q.addrs {
			if err := a.probe(ctx, p, addr); err != nil {
				return nil, err
			}
		}
		if q.wait <= 0 {
			break
		}
		for end := time.Now().Add(q.wait*time.Duration(n+1)/acd.Probes - q.wait*time.Duration(n)/acd.Probes); time.Now().Before(end); o.hear() {
			if err := pause.For(ctx, min(time.Until(end), 10*time.Millisecond)); err != nil {
				return nil, err
			}
		}
	}
	return o, nil
}

// probe asks for the address on behalf of nobody.
func (a *Sender) probe(ctx context.Context, p *link.Port, addr netip.Addr) error {
	frame, err := acd.Probe(p.MAC, addr)
	if err != nil {
		return err
	}
	return a.send(ctx, p, frame)
}

// hear reads what has come.
func (o *others) hear() {
	b := make([]byte, 128)
	for range acd.MaxFrames {
		n, from, err := unix.Recvfrom(o.packet, b, unix.MSG_DONTWAIT)
		if err != nil {
			return
		}
		if ll, is := from.(*unix.SockaddrLinklayer); is && ll.Pkttype == unix.PACKET_OTHERHOST {
			continue // of a VLAN that this interface is not in, and without its tag here
		}
		addr, mac, probing := acd.Claim(b[:n])
		if mac != nil && !(probing && o.inUse) && !bytes.Equal(mac, o.own) && slices.Contains(o.addrs, addr) && o.found[addr] == nil {
			o.found[addr] = mac
		}
	}
}

// tell warns of the hosts that have answered, other than the guest itself by another
// interface on the same network.
func (o *others) tell(ctx context.Context, p *link.Port) error {
	if o == nil {
		return nil
	}
	if o.hear(); len(o.found) == 0 {
		return nil
	}
	own, err := rtnl.Links(ctx, p.Conn)
	if err != nil {
		return err
	}
	for _, addr := range o.addrs {
		mac := o.found[addr]
		if mac != nil && !slices.ContainsFunc(own, func(l *rtnl.Link) bool { return bytes.Equal(l.MAC, mac) }) {
			p.Warn("another host, %s, has %s too: the network sends to either of them; give one of them another address", mac, addr)
		}
	}
	return nil
}

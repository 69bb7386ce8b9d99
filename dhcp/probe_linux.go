package dhcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/acd"
	"github.com/go-pipework/pipework/internal/fault"
)

// notOthers lets no frames of VLANs pass that the interface is not in: they arrive without
// their tag, and for another host.
var notOthers = []bpf.Instruction{
	bpf.LoadExtension{Num: bpf.ExtType},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OTHERHOST, SkipFalse: 1},
	bpf.RetConstant{Val: 0},
	bpf.RetConstant{Val: 0xffff},
}

// A claim looks for another user of an address.
type claim struct {
	*Client
	conn  *packet.Conn
	addr  netip.Addr
	frame []byte
}

// claim begins to look for another user of the address, by an ARP probe.
func (c *Client) claim(ctx context.Context, a netip.Addr) (*claim, error) {
	conn, err := c.packet(ctx, packet.Raw, unix.ETH_P_ARP, notOthers)
	if err != nil {
		return nil, err
	}
	p := &claim{c, conn, a, nil}
	if p.frame, err = acd.Probe(c.MAC, a); err == nil {
		err = p.send(ctx)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *claim) send(ctx context.Context) error {
	if err := fault.Step(ctx, "dhcp probe"); err != nil {
		return err
	}
	_, err := p.conn.WriteTo(p.frame, &packet.Addr{HardwareAddr: ethernet.Broadcast})
	if err != nil && !errors.Is(err, unix.ENOBUFS) { // lost, as in the network
		return fmt.Errorf("dhcp: probe %s: %w", p.addr, err)
	}
	return nil
}

// close closes the socket behind the caller's back: that waits for an RCU grace period.
func (p *claim) close() {
	if p != nil {
		go func() { _ = p.conn.Close() }()
	}
}

// conflict returns the MAC of whoever else has the address or probes for it at the same
// time (RFC 5227 section 2.1.1), as far as that is known by now; where Config.Probe is
// set, after it has sent more probes and listened for as long.
func (p *claim) conflict(ctx context.Context) (net.HardwareAddr, error) {
	if p.Probe <= 0 {
		return p.known()
	}
	defer context.AfterFunc(ctx, func() { _ = p.conn.SetReadDeadline(time.Unix(1, 0)) })()
	for n := range acd.Probes {
		if n > 0 {
			if err := p.send(ctx); err != nil {
				return nil, err
			}
		}
		other, err := p.listen(time.Now().Add(p.Probe / acd.Probes))
		if ended := context.Cause(ctx); ended != nil {
			return nil, ended
		}
		if err != nil || other != nil {
			return other, err
		}
	}
	return nil, nil
}

// known reads what has come.
func (p *claim) known() (other net.HardwareAddr, err error) {
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 128)
	err = raw.Read(func(fd uintptr) bool {
		for range acd.MaxFrames {
			n, _, err := unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
			if err != nil {
				break
			}
			if other = user(b[:n], p.MAC, p.addr); other != nil {
				break
			}
		}
		return true
	})
	return other, err
}

// claimed gets a lease of the address, and looks for another user of it meanwhile: then the
// lease is declined.
func (x *exchange) claimed(ctx context.Context, a netip.Addr, get func() (*Lease, error)) (*Lease, error) {
	p, err := x.claim(ctx, a)
	if err != nil {
		return nil, err
	}
	defer func() { p.close() }()
	l, err := get()
	if err != nil {
		return nil, err
	}
	if granted := l.Addr.Addr(); granted != a { // servers may
		p.close()
		if p, err = x.claim(ctx, granted); err != nil {
			return nil, err
		}
	}
	other, err := p.conflict(ctx)
	switch {
	case err != nil:
		return nil, err
	case other == nil:
		return l, nil
	}
	if err := x.decline(ctx, l); err != nil {
		return nil, err
	}
	return nil, inUse{{l.Addr.Addr(), other}}
}

// decline tells the server (RFC 2131 section 4.4.4). There is no answer.
func (x *exchange) decline(ctx context.Context, l *Lease) error {
	m, err := x.message(dhcpv4.MessageTypeDecline, requested(l.Addr.Addr()), serverID(l.Server))
	if err != nil {
		return fmt.Errorf("dhcp: %w", err)
	}
	conn, err := x.listenFrames(ctx)
	if err != nil {
		return err
	}
	defer func() { go func() { _ = conn.Close() }() }()
	if err := fault.Step(ctx, "dhcp decline"); err != nil {
		return err
	}
	if _, err := conn.WriteTo(m.ToBytes(), nclient4.DefaultServers); err != nil {
		return fmt.Errorf("dhcp: decline %s: %w", l.Addr.Addr(), err)
	}
	return nil
}

// listen reads until the end for a packet of another who has the address.
func (p *claim) listen(end time.Time) (net.HardwareAddr, error) {
	if err := p.conn.SetReadDeadline(end); err != nil {
		return nil, err
	}
	b := make([]byte, 128)
	for {
		n, _, err := p.conn.ReadFrom(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("dhcp: probe %s: %w", p.addr, err)
		}
		if other := user(b[:n], p.MAC, p.addr); other != nil {
			return other, nil
		}
	}
}

// user is the sender of an ARP frame, when it is another than own and has the
// address a, or probes for it.
func user(frame []byte, own net.HardwareAddr, a netip.Addr) net.HardwareAddr {
	if claimed, mac, _ := acd.Claim(frame); claimed == a && !bytes.Equal(mac, own) {
		return mac
	}
	return nil
}

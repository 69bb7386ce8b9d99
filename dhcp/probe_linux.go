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
	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// probes is how many ARP probes are sent (PROBE_NUM of RFC 5227).
const probes = 3

// probe looks for another user of the address, where Config.Probe asks for it,
// and declines the lease when there is one.
func (x *exchange) probe(ctx context.Context, l *Lease) error {
	if x.Probe <= 0 {
		return nil
	}
	other, err := x.conflict(ctx, l.Addr.Addr())
	if err != nil || other == nil {
		return err
	}
	if err := x.decline(ctx, l); err != nil {
		return err
	}
	return errs.New(errInUse, "dhcp: %s was offered, but %s uses it", l.Addr.Addr(), other)
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

// conflict sends ARP probes for a, and returns the MAC of whoever else has it or
// probes for it at the same time (RFC 5227 section 2.1.1).
func (c *Client) conflict(ctx context.Context, a netip.Addr) (net.HardwareAddr, error) {
	all := []bpf.Instruction{bpf.RetConstant{Val: 0xffff}}
	conn, err := c.packet(ctx, packet.Raw, unix.ETH_P_ARP, all)
	if err != nil {
		return nil, err
	}
	defer func() { go func() { _ = conn.Close() }() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	frame, err := probeFrame(c.MAC, a)
	if err != nil {
		return nil, err
	}
	for range probes {
		if err := fault.Step(ctx, "dhcp probe"); err != nil {
			return nil, err
		}
		if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: ethernet.Broadcast}); err != nil {
			return nil, fmt.Errorf("dhcp: probe %s: %w", a, err)
		}
		other, err := c.listenARP(conn, a, time.Now().Add(c.Probe/probes))
		if ended := context.Cause(ctx); ended != nil {
			return nil, ended
		}
		if err != nil || other != nil {
			return other, err
		}
	}
	return nil, nil
}

// listenARP reads until the end for a packet of another who has the address.
func (c *Client) listenARP(conn *packet.Conn, a netip.Addr, end time.Time) (net.HardwareAddr, error) {
	if err := conn.SetReadDeadline(end); err != nil {
		return nil, err
	}
	b := make([]byte, 128)
	for {
		n, _, err := conn.ReadFrom(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("dhcp: probe %s: %w", a, err)
		}
		if other := user(b[:n], c.MAC, a); other != nil {
			return other, nil
		}
	}
}

// user is the sender of an ARP frame, when it is another than own and has the
// address a, or probes for it.
func user(frame []byte, own net.HardwareAddr, a netip.Addr) net.HardwareAddr {
	var f ethernet.Frame
	var p arp.Packet
	if f.UnmarshalBinary(frame) != nil || p.UnmarshalBinary(f.Payload) != nil || bytes.Equal(p.SenderHardwareAddr, own) {
		return nil
	}
	probing := p.Operation == arp.OperationRequest && p.SenderIP.IsUnspecified() && p.TargetIP == a
	if p.SenderIP == a || probing {
		return p.SenderHardwareAddr
	}
	return nil
}

// probeFrame asks for a on behalf of nobody.
func probeFrame(mac net.HardwareAddr, a netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(arp.OperationRequest, mac, netip.IPv4Unspecified(), make(net.HardwareAddr, 6), a)
	if err != nil {
		return nil, err
	}
	payload, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	f := ethernet.Frame{Destination: ethernet.Broadcast, Source: mac, EtherType: ethernet.EtherTypeARP, Payload: payload}
	return f.MarshalBinary()
}

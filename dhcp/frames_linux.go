package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// A frameConn exchanges the datagrams of DHCP as frames: it works before the
// interface has an address, and needs no entry in the kernel's table of
// neighbours. That table is one for all namespaces of the machine, and by default
// holds 1024 (net.ipv4.neigh.default.gc_thresh3): too few for many guests that
// renew.
type frameConn struct {
	*packet.Conn
	from   netip.Addr       // the source address
	server net.HardwareAddr // where unicast goes; nil: through routed
	routed *udpConn         // goes the kernel's ways; holds the port, so that the kernel does not refuse what comes there

	mu   sync.Mutex
	seen map[netip.Addr]net.HardwareAddr // who sent what came
}

// listenFrames opens a socket that works before the interface has an address.
func (c *Client) listenFrames(ctx context.Context) (*frameConn, error) {
	raw, err := c.packet(ctx, packet.Datagram, unix.ETH_P_IP, dhcpOnly)
	if err != nil {
		return nil, err
	}
	return &frameConn{Conn: raw, from: netip.IPv4Unspecified(), seen: map[netip.Addr]net.HardwareAddr{}}, nil
}

// listenLeased opens one that sends from the address of the lease. A server on
// the link is reached at the MAC that it answered from; any other, and one whose
// MAC is not known, through the kernel.
func (c *Client) listenLeased(ctx context.Context, l *Lease) (*frameConn, error) {
	udp, err := c.listenUDP(ctx, l.Addr.Addr())
	if err != nil {
		return nil, err
	}
	f, err := c.listenFrames(ctx)
	if err != nil {
		_ = udp.Close()
		return nil, err
	}
	f.from, f.routed = l.Addr.Addr(), udp
	if l.onLink() {
		f.server = l.ServerMAC
	}
	return f, nil
}

// onLink says whether the server can be sent frames.
func (l *Lease) onLink() bool { return len(l.ServerMAC) == 6 && l.Addr.Contains(l.Server) }

// WriteTo sends a datagram to a server, or to all. One that a full queue drops is
// lost, as in the network.
func (f *frameConn) WriteTo(b []byte, to net.Addr) (int, error) {
	addr, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("%v is no UDP address", to)
	}
	mac := f.server
	switch {
	case addr.IP.Equal(net.IPv4bcast):
		mac = ethernet.Broadcast
	case mac == nil:
		return f.routed.WriteTo(b, to)
	}
	ip, _ := netip.AddrFromSlice(addr.IP.To4())
	_, err := f.Conn.WriteTo(datagram(f.from, ip, b), &packet.Addr{HardwareAddr: mac})
	if err != nil && !errors.Is(err, unix.ENOBUFS) {
		return 0, err
	}
	return len(b), nil
}

// ReadFrom receives the next datagram to the client.
func (f *frameConn) ReadFrom(b []byte) (int, net.Addr, error) {
	frame := make([]byte, 64+udpHeader+len(b))
	for {
		n, addr, err := f.Conn.ReadFrom(frame)
		if err != nil {
			return 0, nil, err
		}
		from, data, ok := payload(frame[:n])
		if !ok {
			continue
		}
		f.mu.Lock()
		if mac := addr.(*packet.Addr).HardwareAddr; len(f.seen) < maxList {
			f.seen[from] = mac
		}
		f.mu.Unlock()
		return copy(b, unfold(data, len(b))), &net.UDPAddr{IP: from.AsSlice(), Port: serverPort}, nil
	}
}

// sender is the MAC that frames of this address came from; nil when none came.
func (f *frameConn) sender(a netip.Addr) net.HardwareAddr {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[a]
}

// Close closes both sockets. A packet socket waits for an RCU grace period, about
// 14 ms.
func (f *frameConn) Close() error {
	if f.routed == nil {
		return f.Conn.Close()
	}
	return errors.Join(f.routed.Close(), f.Conn.Close())
}

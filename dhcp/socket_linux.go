package dhcp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// dhcpOnly lets UDP datagrams to port 68 pass that are not fragments, and drops
// the rest of the interface's IPv4 in the kernel. The packet begins with the IP
// header.
var dhcpOnly = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 9, Size: 1}, // protocol
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_UDP, SkipTrue: 5},
	bpf.LoadAbsolute{Off: 6, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 3}, // fragment offset
	bpf.LoadMemShift{Off: 0},                                    // X = length of the IP header
	bpf.LoadIndirect{Off: 2, Size: 2},                           // destination port
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: clientPort, SkipTrue: 1},
	bpf.RetConstant{Val: 0},
	bpf.RetConstant{Val: 0xffff},
}

func (c *Client) packet(ctx context.Context, kind packet.Type, protocol int, filter []bpf.Instruction) (conn *packet.Conn, err error) {
	if len(c.MAC) != 6 {
		return nil, errs.New(errors.ErrUnsupported, "dhcp: %s has a hardware address of %d bytes: only Ethernet can ask for addresses", c.Name, len(c.MAC))
	}
	if err := fault.Step(ctx, "dhcp open"); err != nil {
		return nil, err
	}
	index := c.Index
	if c.Port != 0 {
		index, filter = c.Port, slices.Concat(comesIn(protocol), filter)
	}
	program, err := bpf.Assemble(filter)
	if err != nil {
		return nil, err
	}
	err = c.Guest.Do(ctx, func() (err error) {
		// The name is not looked up, and would be in the wrong namespace.
		conn, err = packet.Listen(&net.Interface{Index: index}, kind, protocol, &packet.Config{Filter: program})
		return err
	})
	if err == nil && c.Port != 0 {
		if err = hearAll(conn, index); err != nil {
			_ = conn.Close()
		}
	}
	return conn, c.openError(err)
}

// comesIn lets frames of the protocol pass that come in: what a bridge sends by its port is none of
// a server's.
func comesIn(protocol int) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtProto},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(protocol), SkipTrue: 2},
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
}

// hearAll has a socket that sends one protocol receive all: of a bridge's port no other one
// receives anything, since the bridge takes the frames (__netif_receive_skb_core in
// net/core/dev.c).
func hearAll(conn *packet.Conn, index int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff})
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.Bind(int(fd), &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
	})
	return errors.Join(err, failed)
}

func (c *Client) openError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return errs.New(fs.ErrPermission, "dhcp: needs CAP_NET_RAW in the guest's network namespace")
	case errors.Is(err, unix.EACCES):
		return errs.New(fs.ErrPermission, "dhcp: needs CAP_NET_BIND_SERVICE in the guest's network namespace")
	case errors.Is(err, unix.EADDRINUSE):
		return errs.New(fs.ErrExist, "dhcp: another DHCP client runs in the guest: port 68 is in use")
	}
	return fmt.Errorf("dhcp: open a socket on %s: %w", c.Name, err)
}

// A udpConn sends from one address of one interface, and receives what comes to
// port 68 there, broadcasts too: a refusal is one.
type udpConn struct {
	*net.UDPConn
	control []byte // says the source address: IP_PKTINFO
}

func (c *Client) listenUDP(ctx context.Context, from netip.Addr) (*udpConn, error) {
	if err := fault.Step(ctx, "dhcp open"); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = setOptions(int(fd), c.Index) })
		return errors.Join(err, failed)
	}}
	u := &udpConn{control: unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(c.Index), Spec_dst: from.As4()})}
	err := c.Guest.Do(ctx, func() error {
		conn, err := lc.ListenPacket(context.WithoutCancel(ctx), "udp4", fmt.Sprintf(":%d", clientPort))
		if err == nil {
			u.UDPConn = conn.(*net.UDPConn)
		}
		return err
	})
	if err != nil {
		return nil, c.openError(err)
	}
	return u, nil
}

func setOptions(fd, index int) error {
	return errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, index),
	)
}

// WriteTo sends from the leased address.
func (u *udpConn) WriteTo(b []byte, to net.Addr) (int, error) {
	n, _, err := u.WriteMsgUDP(b, u.control, to.(*net.UDPAddr))
	return n, err
}

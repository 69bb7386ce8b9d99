package dhcp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/rtnl"
)

const (
	// linkLocalTime bounds the wait for the kernel to check the link-local address:
	// up to two seconds (RFC 4862, 5.4).
	linkLocalTime = 4 * time.Second
	// busyTime bounds the wait for another exchange in the same guest, on the same
	// interface, to end.
	busyTime = time.Second
)

// listen6 opens a socket for DHCPv6, once the interface has an address to send
// from.
func (c *Client) listen6(ctx context.Context) (*net.UDPConn, error) {
	if len(c.MAC) != 6 {
		return nil, errs.New(errors.ErrUnsupported, "dhcp: %s has a hardware address of %d bytes: only Ethernet can ask for addresses", c.Name, len(c.MAC))
	}
	if err := c.awaitLinkLocal(ctx); err != nil {
		return nil, err
	}
	for end := time.Now().Add(busyTime); ; {
		conn, err := c.bind6(ctx)
		if !errors.Is(err, unix.EADDRINUSE) || time.Now().After(end) {
			return conn, c.openError6(err)
		}
		if err := pause.For(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (c *Client) bind6(ctx context.Context) (conn *net.UDPConn, err error) {
	if err := fault.Step(ctx, "dhcp open"); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, c.Index)
		})
		return errors.Join(err, failed)
	}}
	err = c.Guest.Do(ctx, func() error {
		any, err := lc.ListenPacket(context.WithoutCancel(ctx), "udp6", fmt.Sprintf("[::]:%d", clientPort6))
		if err == nil {
			conn = any.(*net.UDPConn)
		}
		return err
	})
	return conn, err
}

func (c *Client) openError6(err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return errs.New(fs.ErrExist, "dhcp: another DHCPv6 client runs in the guest: port %d is in use", clientPort6)
	case errors.Is(err, unix.EAFNOSUPPORT):
		return errs.New(errors.ErrUnsupported, "dhcp: this kernel has no IPv6")
	}
	return c.openError(err)
}

// awaitLinkLocal waits until the interface has a link-local address that it may
// send from.
func (c *Client) awaitLinkLocal(ctx context.Context) error {
	conn, err := c.Guest.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	events, err := rtnl.Listen(ctx, c.Guest)
	if err != nil {
		return err
	}
	defer events.Close()
	none := errs.New(os.ErrDeadlineExceeded, "dhcp: %s has no link-local address to ask from after %v: is it up, has it carrier, and is IPv6 on there?", c.Name, linkLocalTime)
	bounded, cancel := context.WithTimeoutCause(ctx, linkLocalTime, none)
	defer cancel()
	return events.Until(bounded, func() (bool, error) {
		addrs, err := rtnl.Addrs(bounded, conn, c.Index)
		for _, a := range addrs {
			if !a.Prefix.Addr().IsLinkLocalUnicast() || !a.Prefix.Addr().Is6() {
				continue
			}
			if a.Duplicate() {
				return false, errs.New(fs.ErrExist, "dhcp: another node has %s already, the link-local address of %s: give it another MAC", a.Prefix.Addr(), c.Name)
			}
			if a.Usable() {
				return true, nil
			}
		}
		return false, err
	})
}

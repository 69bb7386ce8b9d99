package announce

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/link"
)

// SolicitRouters asks the routers on the link to advertise themselves (RFC 4861
// section 6.3.7), as the kernel does by itself when the interface comes up: but it
// repeats that only after four seconds. Needs CAP_NET_RAW in the guest.
func SolicitRouters(ctx context.Context, p *link.Port) error {
	ask := &ndp.RouterSolicitation{}
	if len(p.MAC) == 6 { // of others the answer goes to all
		ask.Options = []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: p.MAC}}
	}
	msg, err := ndp.MarshalMessage(ask)
	if err != nil {
		return fmt.Errorf("solicit routers: %w", err)
	}
	if err := fault.Step(ctx, "send solicitation"); err != nil {
		return err
	}
	fd := -1
	err = p.Guest.Do(ctx, func() (err error) {
		fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		return err
	})
	if err != nil {
		return fmt.Errorf("solicit routers: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, p.Index)
	if err == nil { // receivers drop any other hop limit (RFC 4861, 6.1.1)
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255)
	}
	if err == nil {
		err = unix.Sendto(fd, msg, 0, &unix.SockaddrInet6{Addr: netip.IPv6LinkLocalAllRouters().As16(), ZoneId: uint32(p.Index)})
	}
	if err != nil {
		return fmt.Errorf("solicit routers: %w", err)
	}
	return nil
}

package dhcp

import (
	"context"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// awaitSLAAC is [AwaitSLAAC].
func awaitSLAAC(ctx context.Context, guest *ns.Handle, index int) (found []netip.Prefix, err error) {
	conn, err := guest.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	events, err := rtnl.Listen(ctx, guest)
	if err != nil {
		return nil, err
	}
	defer events.Close()
	err = events.Until(ctx, func() (bool, error) {
		addrs, err := rtnl.Addrs(ctx, conn, index)
		for _, a := range addrs {
			if advertised(a) {
				found = append(found, a.Prefix)
			}
		}
		return len(found) > 0, err
	})
	return found, err
}

// advertised says whether the kernel made the address from an advertisement: it
// is of 64 bits, and not permanent, whatever its lifetime. DHCPv6 leases have 128.
func advertised(a rtnl.Addr) bool {
	const not = unix.IFA_F_PERMANENT | unix.IFA_F_DEPRECATED
	return hostAddr6(a.Prefix.Addr()) && a.Prefix.Bits() == 64 && a.Flags&not == 0 && a.Usable()
}

package dhcp

import (
	"context"
	"net/netip"

	"github.com/go-pipework/pipework/ns"
)

// AwaitSLAAC waits until the kernel has given the interface with this index an
// address from a router advertisement (SLAAC, RFC 4862) and has found it unused,
// and returns all such addresses. It hears of them by netlink, and waits until ctx
// ends, whose cause it returns then: routers may advertise seldom, or not at all.
//
// The kernel asks for advertisements and follows them by itself, where the guest's
// sysctls accept_ra and autoconf permit it. Needs no capability but to enter the
// namespace.
func AwaitSLAAC(ctx context.Context, guest *ns.Handle, index int) ([]netip.Prefix, error) {
	return awaitSLAAC(ctx, guest, index)
}

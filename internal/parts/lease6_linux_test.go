package parts

import (
	"net/netip"
	"testing"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// TestLeft6 keeps those addresses of a lease whose first one is gone that are to go when it is
// exchanged.
func TestLeft6(t *testing.T) {
	first, second := netip.MustParseAddr("fd77::5"), netip.MustParseAddr("fd77::6")
	have := []rtnl.Addr{{Prefix: host6(second)}, {Prefix: host6(netip.MustParseAddr("fd77::7"))}}
	left := left6(&dhcp.Lease{Addr: host6(first), Addrs: []dhcp.Leased{{Addr: first}, {Addr: second}}}, have)
	if left.Has(first) || !left.Has(second) || len(left.Addrs) != 1 {
		t.Errorf("%+v", left)
	}
	if left6(nil, have) != nil {
		t.Error("something is left of nothing")
	}
}

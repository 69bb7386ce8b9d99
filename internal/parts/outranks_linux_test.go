package parts

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// TestOutranks has traffic follow one of two default routes, never none.
func TestOutranks(t *testing.T) {
	gw := netip.MustParseAddr("fe80::1")
	via := func(index int, metric uint32) rtnl.Route {
		return rtnl.Via(defaultTo(gw), gw, index).By(unix.RTPROT_RA).With(metric, netip.Addr{})
	}
	for name, row := range map[string]struct {
		metrics [2]uint32 // of the routes through interfaces 1 and 2, in the kernel's order
		first   int
	}{
		"equal":   {[2]uint32{1024, 1024}, 1},
		"default": {[2]uint32{1024, 0}, 1},
		"lower":   {[2]uint32{1024, 100}, 2},
		"higher":  {[2]uint32{100, 1024}, 1},
	} {
		all := []rtnl.Route{via(1, row.metrics[0]), via(2, row.metrics[1])}
		for i, r := range all {
			s := &Site{Link: &rtnl.Link{Index: r.Index}}
			if got := s.stack().outranks(i, all) == nil; got != (r.Index == row.first) {
				t.Errorf("%s: traffic follows the route through %d: %v", name, r.Index, got)
			}
		}
	}
}

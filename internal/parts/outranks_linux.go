package parts

import (
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// outranks is the default route of another interface that comes before all[at], which a
// router advertised through this one: traffic does not follow that.
func (s stack) outranks(at int, all []rtnl.Route) *rtnl.Route {
	r := all[at]
	if r.Protocol() != unix.RTPROT_RA {
		return nil
	}
	for i, o := range all {
		if o.Index != s.Link.Index && comesBefore(all, i, at) {
			return &all[i]
		}
	}
	return nil
}

// advertisedBeside is the default route that a router advertised, and that does not come after
// all[at]; nil also where at is -1. Of equal ones the kernel takes another one each time that the
// next hop of the first does not answer (find_rr_leaf in net/ipv6/route.c), in whatever order it
// lists them.
func advertisedBeside(at int, all []rtnl.Route) *rtnl.Route {
	for i, r := range all {
		if at >= 0 && i != at && r.Protocol() == unix.RTPROT_RA && !all[at].Before(r) {
			return &all[i]
		}
	}
	return nil
}

// comesBefore says whether the kernel takes the default route all[i] rather than all[at].
func comesBefore(all []rtnl.Route, i, at int) bool {
	return all[i].Before(all[at]) || i < at && !all[at].Before(all[i])
}

package uplink

import (
	"context"
	"slices"
	"time"

	"github.com/go-pipework/pipework/internal/announce"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

const (
	// learnTime bounds the wait for routers: they answer a solicitation within half a second,
	// but advertise to all no more often than each three seconds (RFC 4861, 6.2.6).
	learnTime = 4 * time.Second
	// solicitTime is the time between two solicitations.
	solicitTime = time.Second
)

// learn has the kernel learn those of the routes again that routers advertise: what it learns a
// router can take back, or prolong. What no router advertises in time the link has for the time
// that was left.
func (m mover) learn(ctx context.Context, want state, to *rtnl.Link) error {
	var routes []rtnl.Route
	for _, r := range want.routes {
		if learned(r) && want.learns {
			routes = append(routes, r)
		}
	}
	if len(routes) == 0 {
		return nil
	}
	left, err := m.solicit(ctx, routes, to)
	if err != nil {
		return err
	}
	for _, r := range left {
		if _, err := r.Append(ctx, m.host.Conn); err != nil {
			return err
		}
	}
	for _, r := range routes {
		if err := rtnl.Beneath(r).Delete(ctx, m.host.Conn); err != nil {
			return err
		}
	}
	return nil
}

// solicit asks routers until all of the routes are there, and returns those that are not.
func (m mover) solicit(ctx context.Context, routes []rtnl.Route, to *rtnl.Link) (left []rtnl.Route, err error) {
	p := m.port(to)
	var asked time.Time
	for end := time.Now().Add(learnTime); ; {
		have, err := rtnl.WholeRoutes(ctx, m.host.Conn, to.Index)
		if err != nil {
			return nil, err
		}
		left = slices.DeleteFunc(slices.Clone(routes), func(r rtnl.Route) bool { return slices.ContainsFunc(have, r.Same) })
		if len(left) == 0 || time.Now().After(end) {
			return left, nil
		}
		if time.Since(asked) > solicitTime {
			asked = time.Now()
			if err := announce.SolicitRouters(ctx, p); err != nil && ctx.Err() != nil {
				return nil, err
			}
		}
		if err := pause.For(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// port is the link of the host as one that announces.
func (m mover) port(l *rtnl.Link) *link.Port {
	return &link.Port{Host: m.host, Guest: &ns.Guest{Handle: m.host.Handle}, Conn: m.host.Conn, Name: l.Name, MAC: l.MAC, Index: l.Index}
}

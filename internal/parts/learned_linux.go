package parts

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/announce"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// Default routes that the kernel learned from router advertisements are left to it: while
// another one is in their place it is told to learn none on their interfaces
// (accept_ra_defrtr), since it would take them again within seconds, and afterwards it
// learns anew. What is in the table of displaced routes only says where that is: such a
// route is marked, does not expire there, and is never put back. One that does not expire
// is a program's of the guest's, as is one where the kernel learns none.

// learnsOn is the name of the interface where the kernel learned this route; "": it did
// not, but somebody made it.
func (s stack) learnsOn(ctx context.Context, r rtnl.Route) (name string, err error) {
	if r.Protocol() != unix.RTPROT_RA || r.Index == 0 || !r.Expires() { // the kernel learns none with several next hops
		return "", nil
	}
	l, err := rtnl.LinkByIndex(ctx, s.Port.Conn, r.Index)
	if err != nil {
		return "", unless(err, fs.ErrNotExist)
	}
	for _, key := range [...]string{"accept_ra", "accept_ra_defrtr"} {
		accept, err := s.sysctlOf(ctx, l.Name, "ipv6", key)
		if err != nil || accept == "0" { // a program of the guest's listens to routers
			return "", err
		}
	}
	return l.Name, nil
}

// unlearn has the kernel learn no default route on the interface.
func (s stack) unlearn(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	err := s.setSysctlOf(ctx, name, "ipv6", "accept_ra_defrtr", "0")
	if errors.Is(err, fs.ErrPermission) {
		s.Port.Warn("the default route that is advertised on %s may come back: %v", name, err)
		return nil
	}
	return err
}

// unless is err, or nil where it is one of this class.
func unless(err, class error) error {
	if errors.Is(err, class) {
		return nil
	}
	return err
}

// byKernel are the saved routes that the kernel learned, and those that it did not.
func byKernel(saved []rtnl.Route) (learned, others []rtnl.Route) {
	for _, r := range saved {
		if r.IsKeptLearned() {
			learned = append(learned, r)
		} else {
			others = append(others, r)
		}
	}
	return learned, others
}

// relearn has the kernel learn default routes again where it did, and asks the routers.
// Where that fails it is said: no reason for the interface to stay.
func (s stack) relearn(ctx context.Context, learned []rtnl.Route) error {
	done := map[int]error{}
	for _, r := range learned {
		err, asked := done[r.Index]
		if !asked {
			err = s.relearnOn(ctx, r.Index)
			done[r.Index] = err
		}
		switch {
		case ctx.Err() != nil:
			return err
		case err == nil:
			s.Restored = append(s.Restored, r.Original().String()+" (once it is advertised)")
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errors.ErrUnsupported): // the interface is gone, or IPv6 on it
		default:
			s.Port.Warn("no default route is learned on the interface with index %d: %v", r.Index, err)
		}
	}
	return nil
}

// relearnOn is relearn for one interface.
func (s stack) relearnOn(ctx context.Context, index int) error {
	l, err := rtnl.LinkByIndex(ctx, s.Port.Conn, index)
	if err == nil {
		err = s.setSysctlOf(ctx, l.Name, "ipv6", "accept_ra_defrtr", "1")
	}
	if err != nil {
		return err
	}
	ask := link.Port{Guest: s.Port.Guest, Conn: s.Port.Conn, Name: l.Name, Index: l.Index, MAC: l.MAC}
	if err := announce.SolicitRouters(ctx, &ask); err != nil {
		s.Log(ctx, "solicit routers", "interface", l.Name, "error", err)
	}
	return nil
}

package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// lockTime bounds the wait for the host's lock. Any process may hold a lock on
// its own namespace, so it must not stop anyone for longer.
const lockTime = 2 * time.Second

// hold takes the host's lock: shared while a guest is plugged into what pipework
// may remove from the host, alone while it is removed, so that nothing is
// removed under a new user.
func hold(ctx context.Context, lock func(context.Context, time.Duration) (func(), error)) (unlock func()) {
	unlock, err := lock(ctx, lockTime)
	if err != nil {
		return func() {}
	}
	return unlock
}

// whenUnused calls f while nobody uses the host's interface l, and keeps others
// from beginning to use it; it does not call f when somebody does.
//
// Those who matter cannot be listed: a macvlan or ipvlan interface in a guest
// shows in that guest only, and to remove what it stands on would remove it too.
// The kernel knows them, though, up or down and in whatever namespace, and
// forgets them as guests die. It takes a macvlan in mode passthru only on an
// interface that has no other macvlan (EINVAL) and that neither ipvlan nor
// bridge nor bond has claimed (EBUSY), and lets none of those come while that
// one is there. So such a macvlan, which stays down and on the host, is both the
// question and the lock. Only a VLAN in a guest is not kept by it, nor keeps it away:
// [eachVLAN] looks for those.
func whenUnused(ctx context.Context, h Host, l *rtnl.Link, f func() error) error {
	defer hold(ctx, h.Lock)()
	if err := claim(ctx, h, l); err != nil {
		if isUsed(err) {
			return nil
		}
		return err
	}
	defer unclaim(ctx, h, l)
	used, err := stackedOn(ctx, h, l)
	if err != nil || used {
		return err
	}
	if used, err = carriesVLANs(ctx, h, l); err != nil || used {
		return err
	}
	return f()
}

// isUsed says whether claim found somebody. Where the kernel has no macvlan,
// nobody can tell.
func isUsed(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EOPNOTSUPP)
}

// claim makes the macvlan of [whenUnused]. One that is there already was left
// behind by a process that was killed, since the lock is held.
func claim(ctx context.Context, h Host, l *rtnl.Link) error {
	n := newLink{kind: "macvlan", parent: l.Index, option: MacvlanPassthru.option()}.link(claimName(l), 0)
	err := n.Add(ctx, h.Conn)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	if err := rtnl.DelLink(ctx, h.Conn, claimName(l)); err != nil {
		return err
	}
	return n.Add(ctx, h.Conn)
}

// unclaim removes it, also after ctx has ended. It may be gone with l.
func unclaim(ctx context.Context, h Host, l *rtnl.Link) {
	ctx, cancel := context.WithTimeout(fault.Off(ctx), lockTime)
	defer cancel()
	_ = rtnl.DelLink(ctx, h.Conn, claimName(l))
}

// claimPrefix begins the names of claims, which bear no mark.
const claimPrefix = "pwclaim"

func claimName(l *rtnl.Link) string { return fmt.Sprintf("%s%d", claimPrefix, l.Index) }

// stackedOn says whether the host itself uses an interface: it has addresses that
// the kernel did not make, or something else of the host stands on it.
func stackedOn(ctx context.Context, h Host, l *rtnl.Link) (bool, error) {
	addrs, err := rtnl.Addrs(ctx, h.Conn, l.Index)
	if err != nil {
		return true, err
	}
	for _, a := range addrs {
		if !a.ByKernel() {
			return true, nil
		}
	}
	links, err := rtnl.Links(ctx, h.Conn)
	for _, other := range links {
		if other.Parent == l.Index && !other.Foreign && other.Name != claimName(l) {
			return true, err
		}
	}
	return false, err
}

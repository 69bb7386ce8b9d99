//go:build linux

package pipework

import (
	"context"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/announce"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/parts"
	"github.com/go-pipework/pipework/ns"
)

// Kept is what it takes to keep the leases of an interface that Attach plugged in, at
// most one of each family: it applies changes to addresses, routes, MTU and resolv.conf,
// and announces new addresses. The Attachment is Attach's. Event may be set on each.
// dhcp.Keep keeps them until the guest is gone; a dhcp.Keeper keeps those of many guests.
//
// A Kept is of one Spec. Before an [Update] to another one whoever keeps it has to end, and
// afterwards another one is made, of that Spec and of Update's Attachment: the old one would
// make the interface what the old Spec says.
//
//	err := dhcp.Keep(ctx, new(pipework.Attacher).Kept(target, spec, attachment)...)
func (a *Attacher) Kept(t Target, s Spec, at *Attachment) (all []dhcp.Kept) {
	if at.Lease != nil {
		all = append(all, a.kept(t, s, at, dhcp.IPv4))
	}
	if at.Lease6 != nil {
		all = append(all, a.kept(t, s, at, dhcp.IPv6))
	}
	return all
}

func (a *Attacher) kept(t Target, s Spec, at *Attachment, f dhcp.Family) dhcp.Kept {
	kept := dhcp.Kept{Target: t, Interface: at.Name, Lease: at.Lease}
	if f == dhcp.IPv6 {
		kept.Lease = at.Lease6
	}
	if s.DHCP != nil {
		kept.Config = *s.DHCP
	}
	kept.Config.Family = f
	kept.Config.Hostname = parts.Hostname(kept.Config, at.Guest.Name)
	s.Name, s.Last = at.Name, false
	kept.Apply = func(ctx context.Context, g *ns.Guest, last, next *dhcp.Lease) error {
		return a.one(ctx, "lease", Job{t, s}, func(j *job) error {
			if j.guest.Inode() != g.Inode() {
				return j.fail(StageGuest, errs.New(fs.ErrNotExist, "the guest has begun anew"))
			}
			if err := j.changeLease(ctx, f, last, next); err != nil {
				return j.rollBack(ctx, err)
			}
			return nil
		})
	}
	return kept
}

// changeLease applies a change, and announces an address that is new.
func (j *job) changeLease(ctx context.Context, f dhcp.Family, last, next *dhcp.Lease) error {
	unlock, err := j.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	l, err := finder{j}.find(ctx)
	if err != nil {
		return err
	}
	j.here(l, j.port.Mark)
	if last == nil || next == nil || last.Addr != next.Addr || len(last.Routes) == 0 || !slices.Equal(last.Routes, next.Routes) { // not only for longer
		if err := j.site.Keep(ctx); err != nil {
			return j.fail(StageDHCP, err)
		}
	}
	if err := j.spec.leases().Change(ctx, &j.site, f, last, next); err != nil {
		return j.fail(StageDHCP, err)
	}
	return j.announceLease(ctx, last, next)
}

// announceLease announces addresses that are new. An announcement that fails is no
// reason to give the address up.
func (j *job) announceLease(ctx context.Context, last, next *dhcp.Lease) error {
	var fresh []netip.Prefix
	if next != nil && !last.Has(next.Addr.Addr()) {
		fresh = append(fresh, next.Addr)
	}
	if next != nil {
		for _, a := range next.Addrs {
			if a.Addr != next.Addr.Addr() && !last.Has(a.Addr) {
				fresh = append(fresh, netip.PrefixFrom(a.Addr, 128))
			}
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	err := j.guest.Do(ctx, func() error {
		j.announcer = announce.Open()
		return nil
	})
	if err == nil {
		err = j.announcer.Announce(ctx, &j.port, fresh, 0)
	}
	if err != nil {
		j.log(ctx, "announce", "error", err)
	}
	return context.Cause(ctx)
}

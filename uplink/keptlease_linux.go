package uplink

import (
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/onhost"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// This file applies what becomes of a lease that was taken over.

// lifetime gives the leased address the time that the lease has now.
func (m mover) lifetime(ctx context.Context, l *rtnl.Link, t *takenLease) error {
	lease := t.Lease
	a := rtnl.Addr{Index: l.Index, Prefix: lease.Addr, Valid: rtnl.Forever, Preferred: rtnl.Forever}
	if left := lease.Remaining(time.Now()); left >= 0 {
		a.Valid = uint32(max(1, min(left/time.Second, rtnl.Forever-1))) // the kernel takes no 0
		a.Preferred = a.Valid
	}
	have, err := rtnl.Addrs(ctx, m.host.Conn, l.Index)
	if err != nil {
		return err
	}
	for _, h := range have {
		if h.Prefix.Addr() == a.Prefix.Addr() {
			if t.Forever {
				return nil
			}
			a.Prefix = h.Prefix
			a.Flags = h.Flags & unix.IFA_F_NOPREFIXROUTE
		}
	}
	return rtnl.PutAddr(ctx, m.host.Conn, a)
}

func leases(ctx context.Context, store *keep.Store, host *ns.Handle) (all []dhcp.Kept, err error) {
	notes, err := store.Notes(Plan{}.note().Kind)
	if len(notes) == 0 {
		return nil, err
	}
	var cookie uint64
	if err := onhost.Do(ctx, host, func(h link.Host) error {
		cookie = h.Conn.Cookie()
		return nil
	}); err != nil {
		return nil, err
	}
	for _, b := range notes {
		r, err := parseRecord(b)
		if err != nil || r.Taken == nil || r.Phase != moved || r.Boot != ns.BootID() || r.Cookie != cookie {
			continue // List tells what is wrong, and others what is theirs
		}
		p := Plan{NIC: r.NIC, Bridge: r.Bridge, Store: store, Host: host}
		kept := dhcp.Kept{Target: hostTarget{host}, Interface: r.Bridge, Port: r.NIC, Config: r.Taken.config(), Lease: r.Taken.Lease}
		kept.Apply = func(ctx context.Context, _ *ns.Guest, old, next *dhcp.Lease) error {
			return p.applyLease(ctx, old, next)
		}
		all = append(all, kept)
	}
	return all, err
}

// A hostTarget is the host as a guest.
type hostTarget struct{ host *ns.Handle }

// Open opens the host's namespace once more.
func (h hostTarget) Open(ctx context.Context) (*ns.Guest, error) {
	if h.host != nil {
		return ns.Path(fmt.Sprintf("/proc/self/fd/%d", h.host.NetNS())).Open(ctx)
	}
	current, err := ns.Current()
	if err != nil {
		return nil, err
	}
	return &ns.Guest{Handle: current}, nil
}

// applyLease makes the bridge what the lease says, and records it.
func (p Plan) applyLease(ctx context.Context, old, next *dhcp.Lease) error {
	j, end, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer end()
	r, err := j.read(ctx)
	if err != nil {
		return err
	}
	br, err := rtnl.LinkByName(ctx, j.host.Conn, p.Bridge)
	if err != nil {
		return err
	}
	if r == nil || r.Taken == nil || r.Phase != moved {
		return errs.New(fs.ErrNotExist, "the uplink of %s was undone", p.Bridge)
	}
	if next != nil {
		r.Taken.Lease = next
		if err := j.lifetime(ctx, br, r.Taken); err != nil {
			return err
		}
	}
	if old != nil && (next == nil || next.Addr.Addr() != old.Addr.Addr()) {
		if err := j.withdraw(ctx, br, old); err != nil {
			return err
		}
		r.forgetLease(old)
	}
	if next != nil {
		if err := (leaser{j}).leaseRouter(ctx, br, old, next); err != nil {
			return err
		}
	}
	if err := j.write(ctx, r); err != nil && !errs.IsUnwritable(err) {
		return err
	}
	return nil
}

// withdraw takes the leased address away, with whatever prefix length the client gave it. The
// kernel keeps the others of its subnet meanwhile (promote_secondaries), the next lease's among them.
func (m mover) withdraw(ctx context.Context, l *rtnl.Link, lease *dhcp.Lease) (err error) {
	promote := "/proc/sys/net/ipv4/conf/" + l.Name + "/promote_secondaries"
	was, err := m.setting(ctx, promote)
	if err == nil {
		err = m.set(ctx, promote, "1")
	}
	if err != nil {
		return err
	}
	defer func() { err = errs.Join(err, m.set(ctx, promote, was)) }()
	have, err := rtnl.Addrs(ctx, m.host.Conn, l.Index)
	for _, h := range have {
		if h.Prefix.Addr() == lease.Addr.Addr() {
			err = errs.Join(err, rtnl.DelAddr(ctx, m.host.Conn, l.Index, h.Prefix))
		}
	}
	return err
}

// forgetLease takes what came of a former lease out of what the bridge is to have.
func (r *record) forgetLease(old *dhcp.Lease) {
	r.Addrs = slices.DeleteFunc(r.Addrs, func(s rtnl.Saved) bool {
		a, ok := s.Addr()
		return ok && a.Prefix.Addr() == old.Addr.Addr()
	})
	r.Routes = slices.DeleteFunc(r.Routes, func(b rtnl.Saved) bool {
		route, ok := rtnl.ParseSaved(b)
		return ok && route.Gateway.IsValid() && route.Gateway == old.Gateway() || ok && route.Src == old.Addr.Addr()
	})
}

// leaseRouter has the default route lead to the lease's router, where that, or the address, is
// another one.
func (j leaser) leaseRouter(ctx context.Context, br *rtnl.Link, old, next *dhcp.Lease) error {
	gw := next.Gateway()
	if !gw.IsValid() || old != nil && old.Gateway() == gw && old.Addr == next.Addr {
		return nil
	}
	all, err := rtnl.Defaults(ctx, j.host.Conn, unix.AF_INET, unix.RT_TABLE_MAIN)
	if err != nil {
		return err
	}
	var metric uint32
	var former []rtnl.Route
	for _, r := range all {
		if r.Index != br.Index || old != nil && r.Gateway != old.Gateway() && r.Gateway != gw {
			continue
		}
		if metric = r.Metric; r.Gateway != gw {
			former = append(former, r)
		}
	}
	// Add takes no other interface's route away, as Put would, and the new route is there first.
	to := rtnl.Via(netip.PrefixFrom(netip.IPv4Unspecified(), 0), gw, br.Index).With(metric, netip.Addr{}).By(unix.RTPROT_DHCP)
	if err := to.Add(ctx, j.host.Conn); err != nil {
		return err
	}
	for _, r := range former {
		if err := r.Delete(ctx, j.host.Conn); err != nil {
			return err
		}
	}
	return nil
}

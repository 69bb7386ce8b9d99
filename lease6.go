//go:build linux

package pipework

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

const (
	// dadTime bounds duplicate address detection (RFC 4862, 5.4): one to two seconds.
	dadTime = 4 * time.Second
	// leaseRounds is how often another lease is asked for when an address of the
	// last one was in use.
	leaseRounds = 3
)

// errDuplicate is what duplicate address detection found.
var errDuplicate = errors.New("another node on the link has it already")

// dynamic6 gets a new interface what it has of IPv6 from others: a lease, and what
// routers advertise.
func (j *job) dynamic6(ctx context.Context, l *rtnl.Link, out *Attachment) error {
	if !j.spec.advertised() {
		return nil
	}
	if err := link.WaitForwarding(ctx, &j.port); err != nil {
		return j.fail("dhcp", err)
	}
	if j.spec.asks(dhcp.IPv6) {
		j.log(ctx, "dhcp6")
		got, err := j.newLease6(ctx, l)
		if err != nil {
			return j.fail("dhcp", err)
		}
		out.Lease6 = got
		for _, a := range got.Addrs {
			out.Addrs = append(out.Addrs, host6(a.Addr))
		}
	}
	addrs, gateways, err := j.awaitRouters(ctx, l)
	if err != nil {
		return j.fail("address", err)
	}
	out.Addrs, out.Gateways = append(out.Addrs, addrs...), append(out.Gateways, gateways...)
	return nil
}

func host6(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 128) }

// newLease6 gets a lease and gives it to the interface. An address that somebody
// else uses is declined, and another asked for.
func (j *job) newLease6(ctx context.Context, l *rtnl.Link) (got *dhcp.Lease, err error) {
	c := j.client(l, dhcp.IPv6)
	for range leaseRounds {
		if got, err = c.Acquire(ctx, nil); err != nil {
			return nil, err
		}
		held := got
		j.undo.Push("lease of "+got.Addr.Addr().String(), func(ctx context.Context) error {
			if held == nil {
				return nil
			}
			return sent(c.Release(ctx, held))
		})
		if err = j.applyLease6(ctx, l, nil, got); !errors.Is(err, errDuplicate) {
			return got, err
		}
		held = nil
	}
	return nil, err
}

// sent forgives a server that could not be told.
func sent(err error) error {
	if err != nil && unreachable(err) {
		return nil
	}
	return err
}

// refresh6 takes up what an interface that exists already has of IPv6 from others,
// and puts it right, as refreshLease does.
func (j *job) refresh6(ctx context.Context, l *rtnl.Link) error {
	if !j.spec.advertised() {
		return nil
	}
	if err := j.acceptRA(ctx, l.Name); err != nil {
		return j.fail("address", err)
	}
	if err := link.WaitForwarding(ctx, &j.port); err != nil {
		return j.fail("dhcp", err)
	}
	if j.spec.asks(dhcp.IPv6) {
		if err := j.refreshLease6(ctx, l); err != nil {
			return j.fail("dhcp", err)
		}
	}
	if _, _, err := j.awaitRouters(ctx, l); err != nil {
		return j.fail("address", err)
	}
	return nil
}

func (j *job) refreshLease6(ctx context.Context, l *rtnl.Link) error {
	addrs, err := rtnl.Addrs(ctx, j.port.Conn, l.Index)
	if err != nil {
		return err
	}
	last := j.readLease6(addrs)
	there := last != nil && hasAddr(addrs, last.Addr)
	c := j.client(l, dhcp.IPv6)
	got, err := c.Acquire(ctx, last)
	if errors.Is(err, os.ErrDeadlineExceeded) && there {
		j.port.Warn("the lease of %s was not extended: %v", last.Addr.Addr(), err)
		return nil
	}
	if err != nil {
		return err
	}
	if !there {
		j.undo.Push("lease of "+got.Addr.Addr().String(), func(ctx context.Context) error { return sent(c.Release(ctx, got)) })
		last = nil
	}
	return j.applyLease6(ctx, l, last, got)
}

// applyLease6 gives the interface the addresses of next, where it had those of
// last; a nil lease is none. The new come before the old go.
func (j *job) applyLease6(ctx context.Context, l *rtnl.Link, last, next *dhcp.Lease) error {
	j.lease6 = next
	if next != nil {
		if err := j.putAddrs6(ctx, l, last, next); err != nil {
			return err
		}
	}
	if last != nil {
		for _, a := range last.Addrs {
			if next.Has(a.Addr) {
				continue
			}
			if err := rtnl.DelAddr(ctx, j.port.Conn, l.Index, host6(a.Addr)); err != nil {
				return err
			}
		}
	}
	if err := j.leaseDNS(ctx, last, next); err != nil {
		return err
	}
	mark := j.port.Mark
	mark.Lease6 = lease6Text(mark, next, j.client(l, dhcp.IPv6))
	return j.remark(ctx, l, mark)
}

// putAddrs6 gives the interface the addresses of next. Where one of them that last
// had not is somebody else's, next is given up.
func (j *job) putAddrs6(ctx context.Context, l *rtnl.Link, last, next *dhcp.Lease) error {
	var fresh []netip.Addr
	now := time.Now()
	for _, a := range next.Addrs {
		put := rtnl.Addr{Index: l.Index, Prefix: host6(a.Addr), Preferred: seconds(now, a.Preferred), Valid: max(1, seconds(now, a.Valid))}
		if err := rtnl.PutAddr(ctx, j.port.Conn, put); err != nil {
			return err
		}
		if !last.Has(a.Addr) {
			fresh = append(fresh, a.Addr)
		}
	}
	taken, err := j.duplicates(ctx, l, fresh)
	if err != nil || len(taken) == 0 {
		return err
	}
	for _, a := range fresh {
		if err := rtnl.DelAddr(ctx, j.port.Conn, l.Index, host6(a)); err != nil {
			return err
		}
	}
	j.log(ctx, "decline", "address", taken[0])
	free := slices.DeleteFunc(slices.Clone(fresh), func(a netip.Addr) bool { return slices.Contains(taken, a) })
	c := j.client(l, dhcp.IPv6)
	err = sent(c.Decline(ctx, only(next, taken)))
	if err == nil && len(free) > 0 {
		err = sent(c.Release(ctx, only(next, free)))
	}
	if err != nil {
		return err
	}
	return errs.New(fs.ErrExist, "dhcp: the server gave %s, but %w", taken[0], errDuplicate)
}

// only is the lease of some of its addresses.
func only(l *dhcp.Lease, addrs []netip.Addr) *dhcp.Lease {
	part := *l
	part.Addr, part.Addrs = host6(addrs[0]), nil
	for _, a := range addrs {
		part.Addrs = append(part.Addrs, dhcp.Leased{Addr: a})
	}
	return &part
}

// seconds is how long it is from now until end, for the kernel; zero is for ever.
func seconds(now, end time.Time) uint32 {
	if end.IsZero() {
		return rtnl.Forever
	}
	return uint32(max(0, min((end.Sub(now)+time.Second-1)/time.Second, rtnl.Forever-1)))
}

// duplicates waits until the kernel has checked the addresses, and returns those
// that somebody else has: the kernel takes those with a lifetime away at once.
func (j *job) duplicates(ctx context.Context, l *rtnl.Link, addrs []netip.Addr) (taken []netip.Addr, err error) {
	if len(addrs) == 0 {
		return nil, nil
	}
	events, err := rtnl.Listen(ctx, j.guest.Handle)
	if err != nil {
		return nil, err
	}
	defer events.Close()
	slow := errs.New(os.ErrDeadlineExceeded, "duplicate address detection of %s did not end within %v (is there carrier?)", addrs[0], dadTime)
	bounded, cancel := context.WithTimeoutCause(ctx, dadTime, slow)
	defer cancel()
	err = events.Until(bounded, func() (bool, error) {
		have, err := rtnl.Addrs(bounded, j.port.Conn, l.Index)
		if err != nil {
			return false, err
		}
		taken = taken[:0]
		for _, a := range addrs {
			i := slices.IndexFunc(have, func(h rtnl.Addr) bool { return h.Prefix == host6(a) })
			switch {
			case i < 0 || have[i].Duplicate():
				taken = append(taken, a)
			case !have[i].Usable():
				return false, nil
			}
		}
		return true, nil
	})
	return taken, err
}

// lease6Text is what the mark says of a DHCPv6 lease, to give it back: the
// addresses, and in hexadecimal the server's DUID, and the client's and the IAID
// where MAC and name do not tell them. Fields that have no room are left out: a
// server can be asked who it is, and what it is not told of ends by itself.
func lease6Text(m link.Mark, l *dhcp.Lease, c *dhcp.Client) string {
	if l == nil {
		return ""
	}
	addrs := l.Addr.Addr().String()
	for _, a := range l.Addrs {
		if a.Addr != l.Addr.Addr() {
			addrs += "+" + a.Addr.String()
		}
	}
	client := ""
	if own := dhcp.DUID(c.MAC); string(own) != string(l.ClientID) {
		client = hex.EncodeToString(l.ClientID)
	}
	tail := ""
	if id := l.IAID; client != "" || id != dhcp.IAID(c.Name) {
		tail = "_" + client + "_" + strconv.FormatUint(uint64(id), 16)
	}
	m.Guest.Name = ""
	for _, text := range []string{
		addrs + "_" + hex.EncodeToString(l.ServerID) + tail, addrs + "_" + tail,
		l.Addr.Addr().String() + "_" + tail, l.Addr.Addr().String(),
	} {
		if m.Lease6 = strings.TrimRight(text, "_"); len(m.String()) < maxMark {
			return m.Lease6
		}
	}
	return ""
}

// maxMark is the most that a mark holds; one of this length may be cut.
const maxMark = 255

// readLease6 is what the mark and the kernel tell of the interface's DHCPv6 lease;
// nil when it has none.
func (j *job) readLease6(have []rtnl.Addr) *dhcp.Lease {
	fields := append(strings.Split(j.port.Mark.Lease6, "_"), "", "", "")
	l := &dhcp.Lease{}
	for text := range strings.SplitSeq(fields[0], "+") {
		a, err := netip.ParseAddr(text)
		if err != nil || !a.Is6() || a.Zone() != "" {
			return nil
		}
		leased := dhcp.Leased{Addr: a}
		if i := slices.IndexFunc(have, func(h rtnl.Addr) bool { return h.Prefix == host6(a) }); i >= 0 {
			leased.Preferred, leased.Valid = in(have[i].Preferred), in(have[i].Valid)
		}
		l.Addrs = append(l.Addrs, leased)
		if leased.Valid.After(l.Expires) {
			l.Expires = leased.Valid
		}
	}
	l.Addr = host6(l.Addrs[0].Addr)
	l.ServerID, l.ClientID = unhex(fields[1]), unhex(fields[2])
	id, _ := strconv.ParseUint(fields[3], 16, 32)
	l.IAID = uint32(id)
	return l
}

// in is the time in so many seconds; zero for never.
func in(seconds uint32) time.Time {
	if seconds == rtnl.Forever {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(seconds) * time.Second).Truncate(time.Second)
}

// unhex is nil where a guest's root has written nonsense.
func unhex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil
	}
	return b
}

// giveBack6 releases the interface's DHCPv6 lease, as giveBack does.
func (j *job) giveBack6(ctx context.Context, l *rtnl.Link, addrs []rtnl.Addr) error {
	lease := j.readLease6(addrs)
	if lease == nil || !slices.ContainsFunc(lease.Addrs, func(a dhcp.Leased) bool { return hasAddr(addrs, host6(a.Addr)) }) {
		return nil
	}
	j.log(ctx, "release", "address", lease.Addr.Addr())
	c := j.client(l, dhcp.IPv6)
	err := c.Release(ctx, lease)
	if err != nil && (ctx.Err() != nil || !unreachable(err) && !errors.Is(err, dhcp.ErrNAK) && !errors.Is(err, dhcp.ErrNoAddrs)) {
		return err
	}
	if err != nil {
		j.log(ctx, "release", "error", err)
		return nil
	}
	j.undo.Push("release of "+lease.Addr.Addr().String(), func(ctx context.Context) error {
		got, err := c.Acquire(ctx, lease)
		if err == nil && !got.Has(lease.Addr.Addr()) {
			err = fmt.Errorf("the server has given %s away", lease.Addr.Addr())
		}
		return err
	})
	return nil
}

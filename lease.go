//go:build linux

package pipework

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// takeLease gets a lease for a new interface, and configures it.
func (j *job) takeLease(ctx context.Context, l *rtnl.Link, out *Attachment) error {
	if err := link.WaitForwarding(ctx, &j.port); err != nil {
		return err
	}
	j.log(ctx, "dhcp")
	got, err := j.client(l, dhcp.IPv4).Acquire(ctx, nil)
	if err != nil {
		return err
	}
	j.undo.Push("lease of "+got.Addr.String(), func(ctx context.Context) error { return j.releaseUnused(ctx, l, got) })
	displaced, err := j.applyLease(ctx, l, nil, got)
	if err != nil {
		return err
	}
	out.Lease, out.MTU = got, l.MTU
	out.Addrs = append(out.Addrs, got.Addr)
	out.Displaced = append(out.Displaced, displaced...)
	if gw := got.Gateway(); gw.IsValid() && !j.ownGateway(netip.Addr.Is4) {
		out.Gateways = append(out.Gateways, gw)
	}
	return nil
}

// client asks for the interface l in the guest, for one lease.
func (j *job) client(l *rtnl.Link, f dhcp.Family) *dhcp.Client {
	c := &dhcp.Client{Guest: j.guest.Handle, Name: l.Name, Index: l.Index, MAC: l.MAC}
	if j.spec.DHCP != nil {
		c.Config = *j.spec.DHCP
	}
	c.Family = f
	c.Hostname = hostname(c.Config, j.guest.Name)
	return c
}

// hostname is the one to be sent: by default the guest's name, where that is one.
func hostname(c dhcp.Config, guest string) string {
	if c.Hostname == "" && (&dhcp.Config{Hostname: guest}).Validate() == nil {
		return guest
	}
	return c.Hostname
}

// releaseUnused gives back a lease whose address may not be on the interface:
// servers want to hear it from there.
func (j *job) releaseUnused(ctx context.Context, l *rtnl.Link, lease *dhcp.Lease) error {
	a := rtnl.Addr{Index: l.Index, Prefix: lease.Addr, Valid: 10, Preferred: 10}
	if err := rtnl.PutAddr(ctx, j.port.Conn, a); err != nil {
		return err
	}
	err := j.client(l, dhcp.IPv4).Release(ctx, lease)
	if err != nil && unreachable(err) {
		err = nil
	}
	return errors.Join(err, rtnl.DelAddr(ctx, j.port.Conn, l.Index, lease.Addr))
}

// refreshLease takes up the lease of an interface that exists already, and puts
// right what belongs to it. A server that does not answer leaves it as it is,
// unless the address is gone.
func (j *job) refreshLease(ctx context.Context, l *rtnl.Link) error {
	if err := link.WaitForwarding(ctx, &j.port); err != nil {
		return err
	}
	addrs, err := rtnl.Addrs(ctx, j.port.Conn, l.Index)
	if err != nil {
		return err
	}
	last := j.readLease(addrs)
	there := last != nil && hasAddr(addrs, last.Addr)
	got, err := j.client(l, dhcp.IPv4).Acquire(ctx, last)
	if errors.Is(err, os.ErrDeadlineExceeded) && there {
		j.port.Warn("the lease of %s was not extended: %v", last.Addr, err)
		return nil
	}
	if err != nil {
		return err
	}
	if !there {
		j.undo.Push("lease of "+got.Addr.String(), func(ctx context.Context) error { return j.releaseUnused(ctx, l, got) })
		last = nil
	}
	_, err = j.applyLease(ctx, l, last, got)
	return err
}

func hasAddr(addrs []rtnl.Addr, p netip.Prefix) bool {
	return slices.ContainsFunc(addrs, func(a rtnl.Addr) bool { return a.Prefix == p })
}

// applyLease makes the interface what next says, where it was what last said; a
// nil lease is none. The new comes before the old goes.
func (j *job) applyLease(ctx context.Context, l *rtnl.Link, last, next *dhcp.Lease) (displaced []string, err error) {
	j.lease = next
	if next != nil {
		life := lifetime(next)
		a := rtnl.Addr{Index: l.Index, Prefix: next.Addr, Valid: life, Preferred: life}
		if err := rtnl.PutAddr(ctx, j.port.Conn, a); err != nil {
			return nil, err
		}
	}
	if err := j.leaseMTU(ctx, l, next); err != nil {
		return nil, err
	}
	if displaced, err = j.leaseRoutes(ctx, l, last, next); err != nil {
		return nil, err
	}
	if last != nil && (next == nil || next.Addr != last.Addr) {
		if err := rtnl.DelAddr(ctx, j.port.Conn, l.Index, last.Addr); err != nil {
			return nil, err
		}
	}
	if err := j.leaseDNS(ctx, last, next); err != nil {
		return nil, err
	}
	return displaced, j.markLease(ctx, l, next)
}

// lifetime is how many seconds the kernel keeps the address.
func lifetime(l *dhcp.Lease) uint32 {
	left := l.Remaining(time.Now())
	if left < 0 {
		return rtnl.Forever
	}
	return uint32(max(1, min(math.Ceil(left.Seconds()), rtnl.Forever-1)))
}

// leaseMTU lowers the interface's MTU to the lease's, or raises it again, but not
// above what it was without a lease: the link may not carry more. What the Spec
// says comes first, as does what IPv6 needs.
func (j *job) leaseMTU(ctx context.Context, l *rtnl.Link, lease *dhcp.Lease) error {
	if j.spec.MTU != 0 {
		return nil
	}
	full := cmp.Or(j.fullMTU(), l.MTU)
	want := full
	if lease != nil && lease.MTU != 0 && lease.MTU < full {
		want = lease.MTU
	}
	if want < 1280 && j.spec.hasIPv6() {
		want = full
	}
	before := l.MTU
	if want < full {
		j.lowered = full
	}
	if want == before {
		return nil
	}
	if err := j.markLowered(ctx, l); err != nil { // first: a killed call must not leave it unknown
		return err
	}
	if err := rtnl.SetMTU(ctx, j.port.Conn, l.Index, want); err != nil {
		return err
	}
	j.undo.Push("MTU of "+l.Name, func(ctx context.Context) error { return rtnl.SetMTU(ctx, j.port.Conn, l.Index, before) })
	l.MTU = want
	return nil
}

// ownGateway says whether the Spec has a gateway of a family, which comes before
// the lease's or the advertised one.
func (j *job) ownGateway(family func(netip.Addr) bool) bool {
	return slices.ContainsFunc(j.spec.Gateways, family)
}

// fullMTU is the interface's MTU before a lease lowered it, as the mark tells; 0
// when none did.
func (j *job) fullMTU() int {
	fields := strings.Split(j.port.Mark.Lease, ",")
	if len(fields) < 5 {
		return 0
	}
	n, err := strconv.ParseUint(fields[4], 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// leaseDNS writes what next says into the resolv.conf that was asked for, or takes
// out what last said; without either lease it puts the file back.
func (j *job) leaseDNS(ctx context.Context, last, next *dhcp.Lease) error {
	if j.spec.DHCP == nil || j.spec.DHCP.ResolvConf == "" {
		return nil
	}
	if next == nil && last != nil {
		next = &dhcp.Lease{Addr: last.Addr}
	}
	undo, err := dhcp.WriteResolvConf(ctx, j.spec.DHCP.ResolvConf, j.spec.Name, next)
	if err != nil {
		return err
	}
	j.undo.Push("resolv.conf", undo)
	return nil
}

// markLowered writes on the interface what the MTU is without the lease, beside
// what is there of a lease.
func (j *job) markLowered(ctx context.Context, l *rtnl.Link) error {
	if j.lowered == 0 {
		return nil
	}
	fields := append(strings.Split(j.port.Mark.Lease, ","), "", "", "", "")[:4]
	mark := j.port.Mark
	mark.Lease = strings.Join(append(fields, strconv.Itoa(j.lowered)), ",")
	return j.remark(ctx, l, mark)
}

// markLease writes on the interface what it takes to give the lease back: address,
// server, a client identifier of up to 32 bytes that the MAC does not tell, the
// server's MAC, and what the MTU was that the lease lowered.
func (j *job) markLease(ctx context.Context, l *rtnl.Link, lease *dhcp.Lease) error {
	text := ""
	if lease != nil {
		text = lease.Addr.String() + "," + lease.Server.String() + ","
		if id := lease.ClientID; len(id) <= 32 && string(id) != "\x01"+string(l.MAC) {
			text += hex.EncodeToString(id)
		}
		text += "," + hex.EncodeToString(lease.ServerMAC)
		if j.lowered != 0 {
			text += "," + strconv.Itoa(j.lowered)
		}
	}
	mark := j.port.Mark
	mark.Lease = text
	return j.remark(ctx, l, mark)
}

// remark writes the mark on the interface anew, where it differs.
func (j *job) remark(ctx context.Context, l *rtnl.Link, mark link.Mark) error {
	before := j.port.Mark
	if mark == before {
		return nil
	}
	j.port.Mark = mark
	if err := rtnl.SetAlias(ctx, j.port.Conn, l.Index, j.port.Mark.String()); err != nil {
		return err
	}
	j.undo.Push("mark of "+l.Name, func(ctx context.Context) error { return rtnl.SetAlias(ctx, j.port.Conn, l.Index, before.String()) })
	return nil
}

// readLease is what the mark and the kernel tell of the interface's lease; nil
// when it has none.
func (j *job) readLease(addrs []rtnl.Addr) *dhcp.Lease {
	fields := strings.Split(j.port.Mark.Lease, ",")
	if len(fields) < 2 {
		return nil
	}
	addr, err1 := netip.ParsePrefix(fields[0])
	server, err2 := netip.ParseAddr(fields[1])
	if err1 != nil || err2 != nil || !addr.Addr().Is4() || !server.Is4() {
		return nil
	}
	l := &dhcp.Lease{Addr: addr, Server: server}
	if len(fields) > 2 && fields[2] != "" {
		l.ClientID, _ = hex.DecodeString(fields[2])
	}
	if len(fields) > 3 {
		l.ServerMAC, _ = hex.DecodeString(fields[3])
	}
	for _, a := range addrs {
		if a.Prefix == addr && a.Valid != rtnl.Forever {
			l.Expires = time.Now().Add(time.Duration(a.Valid) * time.Second).Truncate(time.Second)
		}
	}
	return l
}

// leaseDrifts tells of leased and advertised addresses that are gone. They are
// refreshed anyway after what drifted was mended.
func (j *job) leaseDrifts(ctx context.Context, l *rtnl.Link) (drifts []link.Drift, err error) {
	addrs, err := rtnl.Addrs(ctx, j.port.Conn, l.Index)
	if err != nil {
		return nil, err
	}
	gone := func(what string) {
		drifts = append(drifts, link.Drift{What: what + " is gone", Mend: func(context.Context, *link.Undo) error { return nil }})
	}
	for _, lease := range []*dhcp.Lease{j.readLease(addrs), j.readLease6(addrs)} {
		if lease != nil && !hasAddr(addrs, lease.Addr) {
			gone("leased address " + lease.Addr.String())
		}
	}
	if j.spec.SLAAC && !slices.ContainsFunc(addrs, rtnl.Addr.Advertised) {
		gone("every address from a router advertisement")
	}
	return drifts, nil
}

// giveBack releases the interface's lease before anything else changes: a server
// may be behind a router. A server that cannot be reached does not stop a Detach.
func (j *job) giveBack(ctx context.Context, l *rtnl.Link) error {
	if err := j.leaseDNS(ctx, nil, nil); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	addrs, err := rtnl.Addrs(ctx, j.port.Conn, l.Index)
	if err != nil {
		return err
	}
	if err := j.giveBack4(ctx, l, addrs); err != nil {
		return err
	}
	return j.giveBack6(ctx, l, addrs)
}

func (j *job) giveBack4(ctx context.Context, l *rtnl.Link, addrs []rtnl.Addr) error {
	lease := j.readLease(addrs)
	if lease == nil || !hasAddr(addrs, lease.Addr) {
		return nil
	}
	j.log(ctx, "release", "address", lease.Addr)
	c := j.client(l, dhcp.IPv4)
	err := c.Release(ctx, lease)
	if err != nil && (ctx.Err() != nil || !unreachable(err)) {
		return err
	}
	if err != nil {
		j.log(ctx, "release", "error", err)
		return nil
	}
	j.undo.Push("release of "+lease.Addr.String(), func(ctx context.Context) error {
		_, err := c.Acquire(ctx, lease)
		return err
	})
	return nil
}

// unreachable says that a release cannot be sent now, nor by trying again soon:
// the server or the way to it is gone, or the guest holds the port. The lease
// then ends by itself.
func unreachable(err error) bool {
	_, refused := errors.AsType[unix.Errno](err)
	return refused || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrPermission)
}

package parts

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"math"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/announce"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// take4 gets a lease for a new interface, and configures it.
func (p Leases) take4(ctx context.Context, s *Site) error {
	if err := announce.WaitForwarding(ctx, s.Port); err != nil {
		return err
	}
	s.Log(ctx, "dhcp")
	got, err := p.client(s, dhcp.IPv4).Acquire(ctx, nil)
	if err != nil {
		return err
	}
	s.Undo.Push("lease of "+got.Addr.String(), func(ctx context.Context) error { return p.releaseUnused(ctx, s, got) })
	if err := p.Pin.grant(ctx, s, s.Undo, dhcp.IPv4, got); err != nil {
		return err
	}
	displaced, err := p.applyLease(ctx, s, nil, got)
	if err != nil {
		return err
	}
	s.Addrs, s.Displaced = append(s.Addrs, got.Addr), append(s.Displaced, displaced...)
	if gw := got.Gateway(); gw.IsValid() && !p.ownGateway() {
		s.Gateways = append(s.Gateways, gw)
	}
	return nil
}

// refresh4 takes up the lease of an interface that exists already, and puts
// right what belongs to it. A server that does not answer leaves it as it is,
// unless the address is gone.
func (p Leases) refresh4(ctx context.Context, s *Site) error {
	if err := announce.WaitForwarding(ctx, s.Port); err != nil {
		return err
	}
	addrs, err := rtnl.Addrs(ctx, s.Port.Conn, s.Link.Index)
	if err != nil {
		return err
	}
	last := readLease(s.Port.Mark, addrs)
	there := last != nil && hasAddr(addrs, last.Addr)
	got, err := p.client(s, dhcp.IPv4).Acquire(ctx, last)
	if errors.Is(err, os.ErrDeadlineExceeded) && there {
		s.Port.Warn("the lease of %s was not extended: %v", last.Addr, err)
		return nil
	}
	if err != nil {
		return err
	}
	if !there {
		s.Undo.Push("lease of "+got.Addr.String(), func(ctx context.Context) error { return p.releaseUnused(ctx, s, got) })
	}
	if err := p.Pin.grant(ctx, s, s.Undo, dhcp.IPv4, got); err != nil {
		return err
	}
	if last != nil && !there { // its routes may be there yet
		last = &dhcp.Lease{Server: last.Server}
	}
	_, err = p.applyLease(ctx, s, last, got)
	return err
}

// applyLease makes the interface what next says, where it was what last said; a
// nil lease is none. The new comes before the old goes.
func (p Leases) applyLease(ctx context.Context, s *Site, last, next *dhcp.Lease) (displaced []string, err error) {
	s.Lease = next
	if next != nil {
		life := lifetime(next)
		a := rtnl.Addr{Index: s.Link.Index, Prefix: next.Addr, Valid: life, Preferred: life}
		if err := s.putLeased(ctx, a, last); err != nil {
			return nil, err
		}
	}
	if err := p.leaseMTU(ctx, s, next); err != nil {
		return nil, err
	}
	if displaced, err = p.leaseRoutes(ctx, s, last, next); err != nil {
		return nil, err
	}
	if last != nil && (next == nil || next.Addr != last.Addr) {
		if err := p.dropLeased(ctx, s, last.Addr); err != nil {
			return nil, err
		}
	}
	if err := p.leaseDNS(ctx, s, last, next); err != nil {
		return nil, err
	}
	return displaced, p.markLease(ctx, s, next)
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
func (p Leases) leaseMTU(ctx context.Context, s *Site, lease *dhcp.Lease) error {
	if p.FixedMTU {
		return nil
	}
	full := cmp.Or(fullMTU(s.Port.Mark), s.Link.MTU)
	want := full
	if lease != nil && lease.MTU != 0 && lease.MTU < full {
		want = lease.MTU
	}
	if want < 1280 && p.IPv6 {
		want = full
	}
	before := s.Link.MTU
	if want < full {
		s.lowered = full
	}
	if want == before {
		return nil
	}
	if err := p.markLowered(ctx, s); err != nil { // first: a killed call must not leave it unknown
		return err
	}
	if err := rtnl.SetMTU(ctx, s.Port.Conn, s.Link.Index, want); err != nil {
		return err
	}
	s.Undo.Push("MTU of "+s.Link.Name, func(ctx context.Context) error { return rtnl.SetMTU(ctx, s.Port.Conn, s.Link.Index, before) })
	s.Link.MTU = want
	return nil
}

// fullMTU is the interface's MTU before a lease lowered it, as the mark tells; 0
// when none did.
func fullMTU(m link.Mark) int {
	fields := strings.Split(m.Lease, ",")
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
func (p Leases) leaseDNS(ctx context.Context, s *Site, last, next *dhcp.Lease) error {
	if p.Config == nil || p.Config.ResolvConf == "" {
		return nil
	}
	if next == nil && last != nil {
		next = &dhcp.Lease{Addr: last.Addr}
	}
	undo, err := dhcp.WriteResolvConf(ctx, p.Config.ResolvConf, s.Name, next)
	if err != nil {
		return err
	}
	s.Undo.Push("resolv.conf", undo)
	return nil
}

// markLowered writes on the interface what the MTU is without the lease, beside
// what is there of a lease.
func (p Leases) markLowered(ctx context.Context, s *Site) error {
	if s.lowered == 0 {
		return nil
	}
	fields := append(strings.Split(s.Port.Mark.Lease, ","), "", "", "", "")[:4]
	mark := s.Port.Mark
	mark.Lease = strings.Join(append(fields, strconv.Itoa(s.lowered)), ",")
	return s.Remark(ctx, mark)
}

// markLease writes on the interface what it takes to give the lease back: address,
// server, a client identifier of up to 32 bytes that the MAC does not tell, the
// server's MAC, and what the MTU was that the lease lowered.
func (p Leases) markLease(ctx context.Context, s *Site, lease *dhcp.Lease) error {
	text := ""
	if lease != nil {
		text = lease.Addr.String() + "," + lease.Server.String() + ","
		if id := lease.ClientID; len(id) <= 32 && string(id) != "\x01"+string(s.Link.MAC) {
			text += hex.EncodeToString(id)
		}
		text += "," + hex.EncodeToString(lease.ServerMAC)
		if s.lowered != 0 {
			text += "," + strconv.Itoa(s.lowered)
		}
	}
	mark := s.Port.Mark
	mark.Lease = text
	return s.Remark(ctx, mark)
}

// readLease is what the mark and the kernel tell of the interface's lease; nil
// when it has none.
func readLease(m link.Mark, addrs []rtnl.Addr) *dhcp.Lease {
	fields := strings.Split(m.Lease, ",")
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

// drop4 gives the lease back that is not asked for any more, and takes away what came with
// it. A gateway of the Spec's own is the default route by now, and keeps what it displaced.
func (p Leases) drop4(ctx context.Context, s *Site, addrs []rtnl.Addr) error {
	if err := p.giveBack4(ctx, s, addrs); err != nil {
		return err
	}
	if !p.ownGateway() {
		if err := s.stack().dropDefault(ctx, unix.AF_INET, unix.RTPROT_DHCP); err != nil {
			return err
		}
	}
	if err := s.dropLeasedRoutes(ctx, nil); err != nil {
		return err
	}
	if err := p.leaseMTU(ctx, s, nil); err != nil {
		return err
	}
	last := readLease(s.Port.Mark, addrs)
	if err := p.dropLeased(ctx, s, last.Addr); err != nil {
		return err
	}
	if err := p.leaseDNS(ctx, s, last, nil); err != nil {
		return err
	}
	s.Lease = nil
	return p.markLease(ctx, s, nil)
}

// putLeased gives the interface a leased address; where last had it already, another
// lifetime.
func (s *Site) putLeased(ctx context.Context, a rtnl.Addr, last *dhcp.Lease) error {
	if !last.Has(a.Prefix.Addr()) {
		s.Undo.Push("address "+a.Prefix.String(), func(ctx context.Context) error {
			return rtnl.DelAddr(ctx, s.Port.Conn, s.Link.Index, a.Prefix)
		})
	}
	return rtnl.PutAddr(ctx, s.Port.Conn, a)
}

// dropLeased removes a leased address; one that is a static one, too, stays for ever.
func (p Leases) dropLeased(ctx context.Context, s *Site, leased netip.Prefix) error {
	addrs, err := rtnl.Addrs(ctx, s.Port.Conn, s.Link.Index)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(addrs, func(a rtnl.Addr) bool { return a.Prefix == leased })
	switch {
	case i < 0:
		return nil
	case !slices.Contains(p.Gateways.Addrs, leased):
		return s.dropAddr(ctx, addrs[i], addrs)
	}
	s.Undo.Push("lifetime of "+leased.String(), func(ctx context.Context) error { return rtnl.PutAddr(ctx, s.Port.Conn, addrs[i]) })
	return rtnl.PutAddr(ctx, s.Port.Conn, rtnl.Addr{Index: s.Link.Index, Prefix: leased, Valid: rtnl.Forever, Preferred: rtnl.Forever})
}

func (p Leases) giveBack4(ctx context.Context, s *Site, addrs []rtnl.Addr) error {
	lease := readLease(s.Port.Mark, addrs)
	if lease == nil || !hasAddr(addrs, lease.Addr) {
		return nil
	}
	s.Log(ctx, "release", "address", lease.Addr)
	c := p.client(s, dhcp.IPv4)
	err := c.Release(ctx, lease)
	if err != nil && (ctx.Err() != nil || !unreachable(err)) {
		return err
	}
	if err != nil {
		s.Log(ctx, "release", "error", err)
		return nil
	}
	s.Undo.Push("release of "+lease.Addr.String(), func(ctx context.Context) error {
		_, err := c.Acquire(ctx, lease)
		return err
	})
	return nil
}

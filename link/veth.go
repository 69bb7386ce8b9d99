//go:build linux

package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// PlugVeth is for Backends that connect a guest by a veth pair. It makes the pair
// in one message: the host's end already a port of the bridge with the index master
// (0: of none) and with p.HostMTU, the guest's end inside the guest, down, with its final
// name, MAC and MTU. When PlugVeth returns the host's end is up and bears p.Mark, has no IPv6 address
// and takes none from router advertisements, and lets pass what p.Pin says. p.HostName names
// the host's end; "" stands for the classic name, or a hashed one, and is filled; the name of
// a NIC that is in a guest is refused with an error that satisfies fs.ErrInvalid. Errors are
// those of [Backend].
func PlugVeth(ctx context.Context, p *Port, u *Undo, master int) error {
	if p.Pin != nil {
		defer hold(ctx, p.Host.RLock)()
		u.Push("nftables for pins", func(ctx context.Context) error { return releasePorts(ctx, p.Host) })
	}
	if err := makeVeth(ctx, p, u, master); err != nil {
		return err
	}
	if p.Pin != nil { // before the first frame can pass
		end, err := rtnl.LinkByName(ctx, p.Host.Conn, p.HostName)
		if err != nil {
			return err
		}
		if err := p.Pin.set(ctx, p, end.Index); err != nil {
			return err
		}
	}
	mark, err := p.markOnHost()
	if err != nil {
		return err
	}
	return rtnl.FinishPlain(ctx, p.Host.Conn, p.HostName, mark, p.Pin.group())
}

// PlugVethDown is PlugVeth for a [Filterer]: the host's end, of no bridge, stays down, so that
// no frame passes, and has no filter; the mark tells what p.Pin says.
func PlugVethDown(ctx context.Context, p *Port, u *Undo) error {
	if err := makeVeth(ctx, p, u, 0); err != nil {
		return err
	}
	mark, err := p.markOnHost()
	if err != nil {
		return err
	}
	return rtnl.FinishPlainDown(ctx, p.Host.Conn, p.HostName, mark)
}

// makeVeth makes the pair.
func makeVeth(ctx context.Context, p *Port, u *Undo, master int) error {
	names := []func(string, *ns.Guest) string{hostName, hashedName}
	if chosen := p.HostName; chosen != "" {
		if err := notReserved(chosen); err != nil {
			return err
		}
		names = []func(string, *ns.Guest) string{func(string, *ns.Guest) string { return chosen }}
	}
	if err := createVeth(ctx, p, master, names); err != nil {
		return err
	}
	host := p.HostName
	p.Made = p.MTU > 0
	u.Push("veth "+host, func(ctx context.Context) error { return rtnl.DelLink(ctx, p.Host.Conn, host) })
	return p.setOnHost(ctx, host, rtnl.IgnoreAdvertisements)
}

// markOnHost is the mark that the host's end is to bear.
func (p *Port) markOnHost() (string, error) {
	told := p.Mark
	told.Namespace = p.Guest.Inode().Ino
	if p.Pin != nil {
		return told.pinned(p.Pin.note())
	}
	return told.String(), nil
}

// createVeth makes the pair with the first of these host names that is free: a
// namespace whose PID was reused may take a moment to let its own go.
func createVeth(ctx context.Context, p *Port, master int, names []func(string, *ns.Guest) string) error {
	for _, name := range names {
		p.HostName = name(p.Name, p.Guest)
		err := rtnl.Veth{
			Here:   rtnl.End{Name: p.HostName, MAC: highMAC(), MTU: cmp.Or(p.HostMTU, p.MTU)},
			There:  rtnl.End{Name: p.Name, MAC: p.MAC, MTU: p.MTU},
			Master: master, Namespace: p.Guest.Handle,
		}.Add(ctx, p.Host.Conn)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EEXIST) {
			return newLinkError(err, "veth", "CONFIG_VETH", p)
		}
		if _, err := rtnl.LinkByName(ctx, p.Conn, p.Name); !errors.Is(err, fs.ErrNotExist) {
			return taken(p, err)
		}
	}
	return hostEndTaken(p.HostName)
}

func hostEndTaken(name string) error {
	return errs.New(fs.ErrInvalid, "the host has an interface %s already: choose another name for the host's end", name)
}

// ForetellVeth is for Backends that connect a guest by [PlugVeth]: it returns the error that
// would have for the name of the host's end, which is a user's choice; "" is none.
func ForetellVeth(ctx context.Context, p *Port, hostName string) error {
	if hostName == "" {
		return nil
	}
	if err := notReserved(hostName); err != nil {
		return err
	}
	_, err := rtnl.LinkByName(ctx, p.Host.Conn, hostName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return cmp.Or(err, hostEndTaken(hostName))
}

// highMAC is a random MAC for the host's end. A bridge has the lowest MAC of its ports, unless
// it was given one: that of a NIC, by which the host is known, stays the bridge's.
func highMAC() net.HardwareAddr {
	mac := RandomMAC()
	mac[0] = 0xfe
	return mac
}

// checkVeth finds the host's end of the guest's interface and checks that it is
// up and a port of master.
func checkVeth(ctx context.Context, p *Port, master *rtnl.Link) ([]Drift, error) {
	host, drifts, err := checkHostEnd(ctx, p)
	if err != nil {
		return nil, err
	}
	if host.Master != master.Index {
		drifts = append(drifts, Drift{What: "host end " + host.Name + " is not a port of " + master.Name, Mend: func(ctx context.Context, u *Undo) error {
			u.Push("master of "+host.Name, func(ctx context.Context) error { return rtnl.SetMaster(ctx, p.Host.Conn, host.Index, host.Master) })
			return rtnl.SetMaster(ctx, p.Host.Conn, host.Index, master.Index)
		}})
	}
	return drifts, nil
}

// CheckVeth is for Backends that made a pair by [PlugVeth]. It finds the host's
// end of the guest's interface, fills p.HostName, and checks that the end is up.
// A host's end that does not bear the mark is an error that satisfies
// fs.ErrInvalid.
func CheckVeth(ctx context.Context, p *Port) ([]Drift, error) {
	host, drifts, err := checkHostEnd(ctx, p)
	if err != nil {
		return nil, err
	}
	return append(drifts, routerDrifts(p, host)...), nil // the host may hear it itself: it is in no bridge
}

func checkHostEnd(ctx context.Context, p *Port) (host *rtnl.Link, drifts []Drift, err error) {
	host, err = vethHostEnd(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	p.HostName = host.Name
	if !host.Up {
		drifts = append(drifts, Drift{What: "host end " + host.Name + " is down", Mend: func(ctx context.Context, u *Undo) error {
			u.Push("up "+host.Name, func(ctx context.Context) error { return rtnl.SetDown(ctx, p.Host.Conn, host.Index) })
			return rtnl.SetLink(ctx, p.Host.Conn, host.Name, "")
		}})
	}
	return host, drifts, nil
}

// vethHostEnd follows the guest's end to its peer. What the guest itself says of it
// proves nothing: its root may give an interface any mark, and a pair any index.
// The peer must be in the host's namespace, bear the mark, and be the one whose
// other end is this link of this namespace, as the host's kernel tells.
func vethHostEnd(ctx context.Context, p *Port) (*rtnl.Link, error) {
	host, mark, err := markedHostEnd(ctx, p)
	if err == nil && mark.Interface != p.Mark.Interface {
		return nil, notMarked(p, host)
	}
	return host, err
}

func notMarked(p *Port, host *rtnl.Link) error {
	return errs.New(fs.ErrInvalid, "the host's end of %s does not bear pipework's mark: %s is somebody else's", p.Name, host.Name)
}

// markedHostEnd is vethHostEnd, for whatever interface the mark is.
func markedHostEnd(ctx context.Context, p *Port) (host *rtnl.Link, mark Mark, err error) {
	guest, err := rtnl.LinkByName(ctx, p.Conn, p.Name)
	if err != nil {
		return nil, Mark{}, err
	}
	if guest.Kind != "veth" {
		return nil, Mark{}, errs.New(fs.ErrInvalid, "%s in %s is no veth but %s", p.Name, p.Guest.Name, kindOf(guest))
	}
	host, err = rtnl.LinkByIndex(ctx, p.Host.Conn, guest.Parent)
	if err != nil {
		return nil, Mark{}, fmt.Errorf("find the host's end of %s: %w", p.Name, err)
	}
	mark, ok := ParseMark(host.Alias)
	if ok && host.Kind == "veth" && host.Parent == guest.Index {
		ok, err = leadsTo(ctx, p, host)
		if err != nil {
			return nil, Mark{}, err
		}
	}
	if !ok || host.Kind != "veth" || host.Parent != guest.Index {
		return nil, Mark{}, notMarked(p, host)
	}
	return host, mark, nil
}

// HostMark is the mark of the host's end of the guest's veth p.Name, where that is
// pipework's for p.Mark.Interface: a call that was killed may not have marked the
// guest's. It fills p.HostName.
func HostMark(ctx context.Context, p *Port) (Mark, bool) {
	host, err := vethHostEnd(ctx, p)
	if err != nil {
		return Mark{}, false
	}
	p.HostName = host.Name
	return ParseMark(host.Alias)
}

// PairMark is HostMark for whatever interface the mark is: the guest's end may have been
// renamed. Of the host itself as the guest, whose ends are both there, it is HostMark.
func PairMark(ctx context.Context, p *Port) (Mark, bool) {
	if p.Guest.Inode() == p.Host.Inode() {
		return HostMark(ctx, p)
	}
	host, mark, err := markedHostEnd(ctx, p)
	if err != nil {
		return Mark{}, false
	}
	p.HostName = host.Name
	return mark, true
}

// isNoHostEnd says whether vethHostEnd found that there is none of ours.
func isNoHostEnd(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid)
}

// leadsTo says whether the other end of a link of the host is in p's guest.
func leadsTo(ctx context.Context, p *Port, host *rtnl.Link) (bool, error) {
	if p.Guest.Inode() == p.Host.Inode() {
		return !host.Foreign, nil
	}
	id, err := rtnl.NSID(ctx, p.Host.Conn, p.Guest.Handle)
	return host.Foreign && id >= 0 && host.NSID == id, err
}

func kindOf(l *rtnl.Link) string {
	if l.Kind == "" {
		return "a physical or loopback device"
	}
	return "a " + l.Kind
}

// UnplugVeth is for Backends that made a pair by [PlugVeth]. It removes the pair
// by its host end, which the kernel does not do in part, and fills p.HostName. The
// host's end decides, whatever the guest calls the other one, has in its place, or
// has moved it to. A pair whose host end is not ours any more is removed by the
// guest's. Without p.Conn it does nothing: the pair went with the guest.
func UnplugVeth(ctx context.Context, p *Port) error {
	c := []*Call{{Port: p}}
	UnplugVeths(ctx, c)
	return c[0].Err
}

// UnplugVeths is UnplugVeth for many, and fills in the Err of each Call. The kernel
// removes a single pair in about 20 ms, most of which it waits for others to let go
// of it; here it waits once for all.
func UnplugVeths(ctx context.Context, calls []*Call) {
	ends := &hostEnds{}
	var pairs []*rtnl.Link
	whose := make(map[*rtnl.Link]*Call)
	var last *Call // that may have had the last pin
	defer func() {
		if last != nil {
			last.Err = errs.Join(last.Err, releasePorts(ctx, last.Port.Host))
		}
	}()
	for _, c := range calls {
		if c.Port.Conn == nil {
			last = c
			continue
		}
		mine, err := ends.of(ctx, c.Port)
		if err == nil && len(mine) == 0 { // perhaps since a call that did not get further
			last, err = c, dropUnproven(ctx, c.Port)
		}
		c.Err = err
		for _, l := range mine {
			c.Port.HostName = l.Name
			pairs, whose[l] = append(pairs, l), c
			if isPinned(l) {
				last = c
			}
		}
	}
	if len(pairs) == 0 {
		return
	}
	host := whose[pairs[0]].Port.Host.Conn
	if len(pairs) > 1 && rtnl.DelLinks(ctx, host, pairs, someGroup()) == nil {
		return
	}
	for _, l := range pairs { // one by one, so that one cannot keep the others
		whose[l].Err = errs.Join(whose[l].Err, rtnl.DelLink(ctx, host, l.Name))
	}
}

// dropUnproven removes what the guest calls so, where no pair of ours leads there.
func dropUnproven(ctx context.Context, p *Port) error {
	return rtnl.DelLink(ctx, p.Conn, p.Name)
}

// someGroup is a link group that nobody uses: groups are 32 bits, and people
// number theirs from 1.
func someGroup() uint32 { return 1<<31 | rand.Uint32() }

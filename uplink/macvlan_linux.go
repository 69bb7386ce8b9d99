package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ifconf"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// macvlan is a macvlan interface on the NIC, in the place of a bridge: it has another MAC. What
// comes in for the NIC's goes on to reach the host, by the NIC, until its peers have learned the
// other one.
type macvlan struct{ *job }

var _ kind = macvlan{}

// isShim says whether a macvlan takes over what the NIC has: by the name that it is to have.
func (p Plan) isShim() bool { return p.Bridge == ShimName(p.NIC) }

func (b macvlan) find(ctx context.Context) (*rtnl.Link, error) {
	l, err := rtnl.LinkByName(ctx, b.host.Conn, b.Bridge)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case l.Kind == "macvlan" && l.Alias == shimMark:
		return nil, errs.New(fs.ErrExist, "%s has a shim with addresses of its own: pipework shim --undo %s", b.NIC, b.NIC)
	case l.Kind != "macvlan", l.Alias != link.UplinkMark && !l.Unfinished():
		return nil, errs.New(fs.ErrExist, "%s is an interface that pipework did not make: ip link set %s name ANOTHER", l.Name, l.Name)
	}
	return l, nil
}

func (b macvlan) refused(ctx context.Context, nic, br *rtnl.Link) error {
	if kind, _ := refuser(b).wireless(ctx, nic); kind != 0 {
		return errs.New(errors.ErrUnsupported, "%s is wireless: an access point passes frames of the station's own MAC alone, and so none of %s", nic.Name, b.Bridge)
	}
	if br != nil && !br.Unfinished() {
		return errs.New(fs.ErrExist, "%s has what it took over from %s, of which %s has no record: move that back by hand, and remove it", br.Name, nic.Name, b.Store.Dir())
	}
	if what := virtual[b.driver(ctx, nic)]; what != "" {
		b.warn("%s has another MAC than %s, which is a NIC of %s", b.Bridge, nic.Name, what)
	}
	return nil
}

func (b macvlan) ready(context.Context) error { return nil }

// Settings of the NIC that are otherwise while a macvlan has its addresses: it answers no ARP, and
// makes no addresses of advertisements, and what its peers send to its MAC is not dropped because
// the way back is by the macvlan.
const (
	arpIgnore = "/proc/sys/net/ipv4/conf/NAME/arp_ignore"
	noARP     = "8" // for no address of the host's
)

func (b macvlan) note(ctx context.Context, r *record) error {
	conf, err := b.conf(ctx, &rtnl.Link{Name: b.NIC})
	if err != nil {
		return err
	}
	r.NICConf = map[string]string{}
	for _, path := range []string{arpIgnore, rpFilter, acceptRA} {
		if value, is := conf[path]; is {
			r.NICConf[path] = value
		}
	}
	nic, err := rtnl.LinkByName(ctx, b.host.Conn, b.NIC)
	r.Heard = err == nil && nic.HearsRouters()
	return err
}

func (b macvlan) create(ctx context.Context, r *record, nic *rtnl.Link) (*rtnl.Link, error) {
	if err := newMacvlan(ctx, b.host.Conn, b.Bridge, nic); err != nil {
		return nil, err
	}
	l, err := rtnl.LinkByName(ctx, b.host.Conn, b.Bridge)
	if token, ok := r.token(); err == nil && ok {
		// Addresses that routers advertise go on to end as the NIC's did, though the MAC is another one.
		if err = b.set(ctx, "/proc/sys/net/ipv6/conf/"+b.Bridge+"/accept_ra", "1"); err == nil {
			err = rtnl.SetToken(ctx, b.host.Conn, l.Index, token)
		}
	}
	return l, err
}

// token is what all addresses of the record end with that routers advertised.
func (r *record) token() (token [8]byte, ok bool) {
	for _, s := range r.Addrs {
		a, is := s.Addr()
		if !is || !a.Advertised() || a.Temporary() {
			continue
		}
		end := [8]byte(a.Prefix.Addr().AsSlice()[8:])
		if ok && end != token {
			return token, false
		}
		token, ok = end, true
	}
	return token, ok
}

func (b macvlan) start(ctx context.Context, _ *record, nic, br *rtnl.Link) error {
	if err := rtnl.Finish(ctx, b.host.Conn, br.Name, link.UplinkMark); err != nil {
		return refusedMacvlan(nic, err)
	}
	return nil
}

func (b macvlan) enslave(ctx context.Context, r *record, nic, _ *rtnl.Link) error {
	loose, err := b.meanwhile(ctx, map[string]string{rpFilter: r.NICConf[rpFilter]})
	if err != nil {
		return err
	}
	conf := map[string]string{rpFilter: loose[rpFilter], arpIgnore: noARP}
	if _, is := r.NICConf[acceptRA]; is {
		conf[acceptRA] = "0"
	}
	return b.writeConf(ctx, nic.Name, conf)
}

// writeConf sets settings of a link.
func (b macvlan) writeConf(ctx context.Context, name string, conf map[string]string) error {
	return ifconf.Write(ctx, b.do, name, conf, func(err error) { b.warn("%v", err) })
}

func (b macvlan) enslaved(_ context.Context, _ *record, nic, br *rtnl.Link) (bool, error) {
	return br.Parent == nic.Index && !br.Foreign, nil
}

func (b macvlan) refresh(ctx context.Context, r *record, nic, br *rtnl.Link) error {
	return b.enslave(ctx, r, nic, br)
}

// release also tells neighbours of the NIC's MAC.
func (b macvlan) release(ctx context.Context, r *record, nic, br *rtnl.Link) error {
	if br != nil {
		if err := b.writeConf(ctx, br.Name, map[string]string{arpIgnore: noARP}); err != nil {
			return err
		}
	}
	if err := b.writeConf(ctx, nic.Name, r.NICConf); err != nil || br == nil {
		return err
	}
	if err := b.count(ctx, nic); err != nil {
		return err
	}
	b.announce(ctx, nic)
	return nil
}

func (b macvlan) reset(context.Context, *record, *rtnl.Link) error { return nil }

func (b macvlan) made(_ context.Context, _ *record, br *rtnl.Link) (bool, error) {
	return br != nil && (br.Unfinished() || br.Alias == link.UplinkMark), nil
}

func (b macvlan) used(ctx context.Context, _ *record, br *rtnl.Link) (bool, error) {
	return b.deviceUsed(ctx, br)
}

func (b macvlan) leave(ctx context.Context, br *rtnl.Link) error {
	return rtnl.SetAlias(ctx, b.host.Conn, br.Index, "")
}

func (b macvlan) remove(ctx context.Context, _ *record, br *rtnl.Link) error {
	return rtnl.DelLinkByIndex(ctx, b.host.Conn, br.Index)
}

// fromNIC is what a message that came in by the NIC has beside its kind. What a guest on another
// macvlan sends to one MAC comes in by the NIC, too (macvlan_queue_xmit in
// drivers/net/macvlan.c), and what it sends to all does not.
func (p Plan) fromNIC(is []expr.Any) []expr.Any {
	if !p.isShim() {
		return slices.Clone(is)
	}
	return append([]expr.Any{
		&expr.Meta{Key: expr.MetaKeyPKTTYPE, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.PACKET_MULTICAST}},
	}, is...)
}

// doing says what Move does.
func (p Plan) doing() string {
	if p.isShim() {
		return fmt.Sprintf("have %s take over what %s has", p.Bridge, p.NIC)
	}
	return fmt.Sprintf("put %s under %s", p.NIC, p.Bridge)
}

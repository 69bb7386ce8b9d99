package link

import (
	"cmp"
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// BridgeMark is the ifalias of a bridge that pipework made.
const BridgeMark = markWord + " bridge"

// UplinkMark is the ifalias of a bridge that pipework made, or has put a NIC of the host's under:
// see package uplink. It is not removed with its last guest, and may believe its NIC's routers.
const UplinkMark = markWord + " uplink"

// Plug makes the veth pair; see [Backend].
func (b Bridge) Plug(ctx context.Context, p *Port, u *Undo) error {
	br, err := b.find(ctx, p)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if br == nil || madeBridge(br) { // nobody removes other people's bridges
		var release func()
		if br, release, err = b.keep(ctx, p, u); err != nil {
			return err
		}
		defer release()
	} else if b.Firewall == FirewallAccept { // and nobody takes its rule away meanwhile
		defer hold(ctx, p.Host.RLock)()
	}
	if err := b.canFilter(br); err != nil {
		return err
	}
	if p.MTU == 0 {
		p.MTU = br.MTU
	}
	p.HostMTU = max(p.MTU, br.MTU)
	p.HostName = b.HostName
	if err := PlugVeth(ctx, p, u, br.Index); err != nil {
		return err
	}
	if err := b.setPort(ctx, p, br); err != nil {
		return err
	}
	if b.noVLAN(br) {
		p.Warn("%s", silent(b.Name, p.HostName))
	}
	if !br.Up {
		p.Warn("bridge %s is down and passes no frames: ip link set %s up", b.Name, b.Name)
	}
	return b.accept(ctx, p, u, br)
}

// Foretell is what Plug would refuse; see [Foreteller].
func (b Bridge) Foretell(ctx context.Context, p *Port) (makes []string, err error) {
	br, err := b.find(ctx, p)
	switch {
	case errors.Is(err, fs.ErrNotExist) && creatable(b.Name):
		makes, err = []string{"bridge " + b.Name}, notReserved(b.Name)
	case err == nil:
		err = b.canFilter(br)
	}
	return makes, cmp.Or(err, ForetellVeth(ctx, p, b.HostName))
}

// maxTries bounds how often a bridge is made that others remove at once.
const maxTries = 10

// keep finds the bridge, or creates it where its name says that it may be, and
// keeps others from removing it until release is called.
func (b Bridge) keep(ctx context.Context, p *Port, u *Undo) (br *rtnl.Link, release func(), err error) {
	for try := 1; ; try++ {
		release = hold(ctx, p.Host.RLock)
		br, err = b.find(ctx, p)
		switch {
		case err != nil:
		case br.Unfinished(): // by a call that was killed
			err = b.finish(ctx, p)
			br.Alias, br.Group, br.Up = BridgeMark, 0, true
		case madeBridge(br) && br.TakesAdvertisements(): // made by an earlier version
			err = ignoreRouters(ctx, p, b.Name)
		}
		if err == nil {
			return br, release, nil
		}
		release()
		if try == maxTries || !errors.Is(err, fs.ErrNotExist) || !creatable(b.Name) {
			return nil, nil, err
		}
		if err := b.create(ctx, p, u); err != nil {
			return nil, nil, err
		}
	}
}

// create makes the bridge and marks it, before anybody else can find it.
func (b Bridge) create(ctx context.Context, p *Port, u *Undo) error {
	defer hold(ctx, p.Host.Lock)()
	if err := notReserved(b.Name); err != nil {
		return err
	}
	// A MAC that nobody set follows the bridge's lowest port, and changes with
	// every guest.
	br := rtnl.NewLink{End: rtnl.End{Name: b.Name, MAC: RandomMAC()}, Kind: "bridge"}
	if b.filters() {
		br.Option = rtnl.FilterVLANs()
	}
	if err := br.Add(ctx, p.Host.Conn); errors.Is(err, unix.EEXIST) {
		return nil
	} else if err != nil {
		return b.createError(err, p)
	}
	u.Push("bridge "+b.Name, func(ctx context.Context) error { return b.releaseIf(ctx, p, func(*rtnl.Link) bool { return true }) })
	return b.finish(ctx, p)
}

// finish marks the new bridge and sets it up, once it ignores what guests say.
func (b Bridge) finish(ctx context.Context, p *Port) error {
	if err := ignoreRouters(ctx, p, b.Name); err != nil {
		return err
	}
	return rtnl.Finish(ctx, p.Host.Conn, b.Name, BridgeMark)
}

func (b Bridge) createError(err error, p *Port) error {
	if b.filters() && errors.Is(err, unix.EOPNOTSUPP) {
		return errNoVLANs()
	}
	return newLinkError(err, "bridge", "CONFIG_BRIDGE", p)
}

func (b Bridge) find(ctx context.Context, p *Port) (*rtnl.Link, error) {
	br, err := rtnl.LinkByName(ctx, p.Host.Conn, b.Name)
	if errors.Is(err, fs.ErrNotExist) && !creatable(b.Name) {
		return nil, errs.New(fs.ErrNotExist, "no bridge %s: create it with `ip link add %s type bridge`, or choose a name that begins with br", b.Name, b.Name)
	}
	if err == nil && br.Kind != "bridge" {
		return nil, errs.New(fs.ErrInvalid, "%s is no bridge but %s", b.Name, kindOf(br))
	}
	return br, err
}

// Check finds the bridge and the host's end of the pair; see [Backend].
func (b Bridge) Check(ctx context.Context, p *Port) ([]Drift, error) {
	br, err := b.find(ctx, p)
	if errors.Is(err, fs.ErrNotExist) && creatable(b.Name) {
		return []Drift{{What: "bridge " + b.Name + " is gone", Mend: func(ctx context.Context, u *Undo) error { return b.rejoin(ctx, p, u) }}}, nil
	}
	if err != nil {
		return nil, err
	}
	drifts, err := checkVeth(ctx, p, br)
	if err != nil {
		return nil, err
	}
	port, err := b.portDrifts(ctx, p, br)
	if err != nil {
		return nil, err
	}
	blocked, err := b.firewallDrift(ctx, p, br)
	drifts = append(append(drifts, port...), blocked...)
	if madeBridge(br) {
		drifts = append(drifts, routerDrifts(p, br)...)
	}
	return drifts, err
}

// rejoin recreates a bridge that was removed under its guests.
func (b Bridge) rejoin(ctx context.Context, p *Port, u *Undo) error {
	br, release, err := b.keep(ctx, p, u)
	if err != nil {
		return err
	}
	defer release()
	drifts, err := checkVeth(ctx, p, br)
	for i := 0; err == nil && i < len(drifts); i++ {
		err = drifts[i].Mend(ctx, u)
	}
	if err != nil {
		return err
	}
	return b.setPort(ctx, p, br)
}

// Unplug removes the pair, and the bridge when it was made by pipework and
// nothing else uses it; see [Backend].
func (b Bridge) Unplug(ctx context.Context, p *Port) error {
	if err := UnplugVeth(ctx, p); err != nil {
		return err
	}
	return b.release(ctx, p)
}

// UnplugAll removes the pairs together, and then the bridges; see [BatchUnplugger].
func (b Bridge) UnplugAll(ctx context.Context, calls []*Call) {
	UnplugVeths(ctx, calls)
	released := make(map[string]error)
	for _, c := range calls {
		of := c.Backend.(Bridge)
		if c.Err != nil {
			continue
		}
		if _, done := released[of.Name]; !done {
			released[of.Name] = of.release(ctx, c.Port)
		}
		c.Err = released[of.Name]
	}
}

// release removes the bridge if it bears the mark and nobody uses it.
func (b Bridge) release(ctx context.Context, p *Port) error {
	return b.releaseIf(ctx, p, madeBridge)
}

// madeBridge says whether pipework made the bridge.
func madeBridge(l *rtnl.Link) bool {
	return l.Kind == "bridge" && (l.Alias == BridgeMark || l.Unfinished())
}

// releaseIf removes the bridge if it is ours and nobody uses it: no ports, no
// addresses but those that the kernel made, nothing stacked on it.
func (b Bridge) releaseIf(ctx context.Context, p *Port, ours func(*rtnl.Link) bool) error {
	return b.ifUnused(ctx, p.Host, ours, func() error { return b.remove(ctx, p.Host) })
}

// ifUnused calls f if the bridge is ours and nobody uses it, and keeps others from
// beginning to use it.
func (b Bridge) ifUnused(ctx context.Context, h Host, ours func(*rtnl.Link) bool, f func() error) error {
	defer hold(ctx, h.Lock)()
	br, err := rtnl.LinkByName(ctx, h.Conn, b.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return b.firewall(h).Remove(ctx) // somebody removed the bridge by hand
	}
	if err != nil {
		return err
	}
	if !ours(br) {
		return b.removeUnusedRule(ctx, h)
	}
	used, err := bridgeUsed(ctx, h, br)
	if err != nil || used {
		return err
	}
	return f()
}

// remove removes the bridge and what was opened for it in the firewall.
func (b Bridge) remove(ctx context.Context, h Host) error {
	if err := rtnl.DelLink(ctx, h.Conn, b.Name); err != nil {
		return err
	}
	return b.firewall(h).Remove(ctx)
}

func bridgeUsed(ctx context.Context, h Host, br *rtnl.Link) (bool, error) {
	ports, err := rtnl.Ports(ctx, h.Conn, br.Index)
	if err != nil || len(ports) > 0 {
		return true, err
	}
	return stackedOn(ctx, h, br)
}

package uplink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ifconf"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/link/firewall"
)

// Settings that are otherwise while addresses move, by their paths in a record of [ifconf.Read].
const (
	rpFilter   = "/proc/sys/net/ipv4/conf/NAME/rp_filter"
	dadSetting = "/proc/sys/net/ipv6/conf/NAME/accept_dad"
	acceptRA   = "/proc/sys/net/ipv6/conf/NAME/accept_ra"
)

func acceptDAD(name string) string { return strings.Replace(dadSetting, "NAME", name, 1) }

// setting is the value of a setting; "" where the kernel does not have it.
func (m mover) setting(ctx context.Context, path string) (value string, err error) {
	err = m.do(ctx, func() error {
		b, _ := os.ReadFile(path)
		value = strings.TrimSpace(string(b))
		return nil
	})
	return value, err
}

// set sets a setting that the kernel may not have.
func (m mover) set(ctx context.Context, path, value string) error {
	if value == "" {
		return nil
	}
	_, err := ifconf.Set(ctx, m.do, path, value)
	if errors.As(err, new(*os.PathError)) {
		return nil
	}
	return err
}

// conf are the settings that the bridge is to have: the NIC's.
func (j *job) conf(ctx context.Context, nic *rtnl.Link) (map[string]string, error) {
	return ifconf.Read(ctx, j.do, nic.Name)
}

// meanwhile are the settings that a link is to have while addresses move to it or from it: an
// address is usable at once, as nobody else has it; and what comes in by the bridge is not
// dropped because the way back is by the NIC (the kernel takes the larger rp_filter of the link's
// and that of all); and the kernel makes no addresses of advertisements, which would come before
// others.
func (j *job) meanwhile(ctx context.Context, conf map[string]string) (map[string]string, error) {
	conf = maps.Clone(conf)
	all, err := j.setting(ctx, "/proc/sys/net/ipv4/conf/all/rp_filter")
	if all != "0" || conf[rpFilter] != "0" {
		conf[rpFilter] = "2"
	}
	if conf[dadSetting] != "" {
		conf[dadSetting], conf[acceptRA] = "0", "0"
	}
	return conf, err
}

// configure gives the bridge the settings.
func (j *job) configure(ctx context.Context, conf map[string]string) error {
	return ifconf.Write(ctx, j.do, j.Bridge, conf, func(err error) {
		j.warn("%s does not have all settings of %s: %v", j.Bridge, j.NIC, err)
	})
}

// settle ends what was so meanwhile.
func (j *job) settle(ctx context.Context, conf map[string]string) error {
	some := map[string]string{}
	for _, path := range []string{rpFilter, dadSetting, acceptRA} {
		if value, is := conf[path]; is {
			some[path] = value
		}
	}
	return j.configure(ctx, some)
}

// lockTime bounds the wait for those who remove bridges that nobody uses.
const lockTime = 2 * time.Second

// hold keeps others from removing, or beginning to use, the bridge.
func (j *job) hold(ctx context.Context) (unlock func()) {
	unlock, err := j.host.Lock(ctx, lockTime)
	if err != nil {
		return func() {}
	}
	return unlock
}

// makeBridge makes the bridge, or takes the one that is there, with the NIC's MAC and settings.
func (j *job) makeBridge(ctx context.Context, nic *rtnl.Link, conf map[string]string) (*rtnl.Link, error) {
	defer j.hold(ctx)()
	conf, err := j.meanwhile(ctx, conf)
	if err != nil {
		return nil, err
	}
	br, err := j.findBridge(ctx)
	if err != nil {
		return nil, err
	}
	if br == nil {
		return j.newBridge(ctx, nic, conf)
	}
	if err := j.configure(ctx, conf); err != nil {
		return nil, err
	}
	if br.MAC.String() != nic.MAC.String() {
		if err := rtnl.SetMAC(ctx, j.host.Conn, br.Index, nic.MAC); err != nil {
			return nil, fmt.Errorf("give %s the MAC of %s: %w", j.Bridge, j.NIC, err)
		}
	}
	if err := rtnl.SetLink(ctx, j.host.Conn, j.Bridge, aliasAsUplink(br)); err != nil {
		return nil, err
	}
	return br, nil
}

// aliasAsUplink is the ifalias of a bridge that was there; "": it keeps its own. One that
// pipework made would be told to ignore routers by the next attach.
func aliasAsUplink(br *rtnl.Link) string {
	if br.Alias == link.BridgeMark {
		return link.UplinkMark
	}
	return ""
}

// newBridge makes it. Its MTU is set, so that no guest's port changes it.
func (j *job) newBridge(ctx context.Context, nic *rtnl.Link, conf map[string]string) (*rtnl.Link, error) {
	n := rtnl.NewLink{End: rtnl.End{Name: j.Bridge, MAC: nic.MAC, MTU: nic.MTU}, Kind: "bridge"}
	if err := n.Add(ctx, j.host.Conn); err != nil {
		if errors.Is(err, unix.EOPNOTSUPP) {
			return nil, errs.New(errors.ErrUnsupported, "this kernel makes no bridges: CONFIG_BRIDGE")
		}
		return nil, fmt.Errorf("make bridge %s: %w", j.Bridge, err)
	}
	br, err := rtnl.LinkByName(ctx, j.host.Conn, j.Bridge)
	if err != nil {
		return nil, err
	}
	if err := rtnl.SetMTU(ctx, j.host.Conn, br.Index, nic.MTU); err != nil {
		return nil, err
	}
	if err := j.configure(ctx, conf); err != nil {
		return nil, err
	}
	return br, rtnl.Finish(ctx, j.host.Conn, j.Bridge, link.UplinkMark)
}

// was reads what the bridge is.
func (m mover) was(ctx context.Context, br *rtnl.Link) (w *bridge, err error) {
	w = &bridge{MAC: br.MAC, Alias: br.Alias, Up: br.Up}
	w.Conf, err = ifconf.Read(ctx, m.do, br.Name)
	return w, err
}

// leaveBridge makes the bridge what it was, or removes it where there was none, unless guests
// use it.
func (j *job) leaveBridge(ctx context.Context, r *record) error {
	defer j.hold(ctx)()
	br, err := j.findBridge(ctx)
	if br == nil || err != nil {
		return err
	}
	if r.Was != nil {
		return j.resetBridge(ctx, r, br)
	}
	if br.Alias != link.UplinkMark && !br.Unfinished() {
		return nil // somebody else's, made meanwhile
	}
	used, err := j.used(ctx, br)
	switch {
	case err != nil:
		return err
	case used:
		j.warn("bridge %s stays, for those who use it", j.Bridge)
		if err := j.do(ctx, func() error { return rtnl.IgnoreRouters(ctx, j.Bridge) }); err != nil {
			return err
		}
		return rtnl.SetAlias(ctx, j.host.Conn, br.Index, link.BridgeMark)
	}
	if err := rtnl.DelLinkByIndex(ctx, j.host.Conn, br.Index); err != nil {
		return err
	}
	return firewall.Bridge{Name: j.Bridge, Do: j.do}.Remove(ctx)
}

// used says whether the bridge has ports, or addresses, or something stands on it.
func (m mover) used(ctx context.Context, br *rtnl.Link) (bool, error) {
	all, err := rtnl.Links(ctx, m.host.Conn)
	if err != nil {
		return true, err
	}
	for _, l := range all {
		if l.Master == br.Index || l.Parent == br.Index && !l.Foreign {
			return true, nil
		}
	}
	addrs, err := rtnl.Addrs(ctx, m.host.Conn, br.Index)
	for _, a := range addrs {
		if !a.ByKernel() {
			return true, nil
		}
	}
	return false, err
}

// resetBridge makes a bridge that was there what it was.
func (j *job) resetBridge(ctx context.Context, r *record, br *rtnl.Link) error {
	for _, n := range r.Neighbours {
		if err := n.DelNeighbour(ctx, j.host.Conn, br.Index); err != nil && !errors.As(err, new(unix.Errno)) { // it may be gone
			return err
		}
	}
	if br.MAC.String() != r.Was.MAC.String() {
		if err := rtnl.SetMAC(ctx, j.host.Conn, br.Index, r.Was.MAC); err != nil {
			return err
		}
	}
	if err := ifconf.Write(ctx, j.do, j.Bridge, r.Was.Conf, func(err error) { j.warn("%v", err) }); err != nil {
		return err
	}
	if !r.Was.Up {
		if err := rtnl.SetDown(ctx, j.host.Conn, br.Index); err != nil {
			return err
		}
	}
	if br.Alias == r.Was.Alias {
		return nil
	}
	return rtnl.SetAlias(ctx, j.host.Conn, br.Index, r.Was.Alias)
}

package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link/firewall"
)

// firewallDrift finds the firewall's rule missing that Plug added: Docker's chains may
// have been made again since. Where no rule of ours would do, it warns, as Plug does.
func (b Bridge) firewallDrift(ctx context.Context, p *Port, br *rtnl.Link) ([]Drift, error) {
	if b.Firewall == FirewallLeave {
		return nil, nil
	}
	advice, err := b.firewall(p.Host).Check(ctx)
	if err != nil {
		return nil, err
	}
	if !b.accepts(br) || len(advice.Accept) == 0 {
		b.warnFirewall(p, advice)
		return nil, nil
	}
	return []Drift{{What: "the firewall drops frames within " + b.Name, Mend: func(ctx context.Context, u *Undo) error { return b.accept(ctx, p, u, br) }}}, nil
}

// accept adds the firewall's rule that lets frames pass within the bridge where the
// configuration says so; else it warns.
func (b Bridge) accept(ctx context.Context, p *Port, u *Undo, br *rtnl.Link) error {
	if b.Firewall == FirewallLeave {
		return nil
	}
	if !b.accepts(br) {
		advice, err := b.firewall(p.Host).Check(ctx)
		b.warnFirewall(p, advice)
		return err
	}
	added, rest, err := b.firewall(p.Host).Accept(ctx)
	if err != nil {
		return fmt.Errorf("let frames pass within %s: %w", b.Name, err)
	}
	if added && br.Alias != BridgeMark && br.Alias != UplinkMark { // ours takes its rule along, and others may rely on it by then
		u.Push("firewall rule for "+b.Name, b.firewall(p.Host).Remove)
	}
	b.warnFirewall(p, rest)
	return nil
}

// accepts says whether the firewall's rule for the bridge is ours to add.
func (b Bridge) accepts(br *rtnl.Link) bool {
	return b.Firewall == FirewallAccept || b.Firewall == FirewallOwn && (br.Alias == BridgeMark || br.Alias == UplinkMark)
}

// warnFirewall says on p.Warnings what to type, if anything.
func (b Bridge) warnFirewall(p *Port, a firewall.Advice) {
	orElse := ""
	if len(a.Others) == 0 {
		orElse = ", or use --forward"
	}
	if commands := slices.Concat(a.Accept, a.Others); len(commands) > 0 {
		p.Warn("the firewall's policy is to drop frames within %s: %s%s", b.Name, strings.Join(commands, "; "), orElse)
	}
}

// firewall is the firewall of h, as far as it concerns the bridge.
func (b Bridge) firewall(h Host) firewall.Bridge {
	return firewall.Bridge{Name: b.Name, Do: enter(h)}
}

// enter runs a function inside the host's namespace: on the spot where the calling
// thread is there already, which is cheaper and needs no privilege.
func enter(h Host) firewall.Do {
	if h.Here {
		return func(_ context.Context, f func() error) error { return f() }
	}
	return h.Do
}

// removeUnusedRule removes the firewall's rule for somebody else's bridge with the last
// port of ours. The caller holds the host's lock.
func (b Bridge) removeUnusedRule(ctx context.Context, h Host) error {
	names, err := firewall.Bridges(ctx, enter(h))
	if err != nil || !slices.Contains(names, b.Name) {
		return err
	}
	unused, err := b.ruleUnused(ctx, h)
	if err != nil || !unused {
		return err
	}
	return b.firewall(h).Remove(ctx)
}

// ruleUnused says whether the firewall's rule for the bridge is of no use to a guest of
// ours: the bridge is gone, or somebody else's and without a port of ours. A bridge of
// ours takes its rule along.
func (b Bridge) ruleUnused(ctx context.Context, h Host) (bool, error) {
	br, err := rtnl.LinkByName(ctx, h.Conn, b.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil || madeBridge(br) {
		return false, err
	}
	ports, err := rtnl.Ports(ctx, h.Conn, br.Index)
	ours := func(l *rtnl.Link) bool { _, marked := ParseMark(l.Alias); return marked }
	return err == nil && !slices.ContainsFunc(ports, ours), err
}

package link

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/net/bpf"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// set pins what comes in by the host's end of this index, which the caller then puts into the
// group of p.group. The caller holds the host's lock, shared.
func (p *Pin) set(ctx context.Context, port *Port, index int) error {
	program, err := p.program()
	if err != nil {
		return err
	}
	c := port.Host.Conn
	if err := rtnl.SetFilter(ctx, c, index, program); err != nil {
		return err
	}
	p.Open = true
	if inBridge(port.Mark) {
		err := holdPort(ctx, port.Host, index)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		p.Open = err != nil
	}
	p.WarnOpen(port)
	return nil
}

// inBridge says whether the host's end with this mark is to be a port of a bridge.
func inBridge(m Mark) bool { return kindName(m.Link) != "veth" }

// WarnOpen says on port.Warnings where the Pin is Open.
func (p *Pin) WarnOpen(port *Port) {
	switch {
	case !p.Open:
	case inBridge(port.Mark):
		port.Warn("a guest with CAP_NET_ADMIN can get around its pin: this kernel lacks act_skbedit, or nftables for bridges (CONFIG_NF_TABLES_BRIDGE)")
	default:
		port.Warn("a guest with CAP_NET_ADMIN can get around the pin of a pair: plug it into a Linux bridge")
	}
}

// group is the group of links that the host's end is to be in.
func (p *Pin) group() uint32 {
	if p == nil || p.Open {
		return 0
	}
	return rtnl.Pinned
}

// A classifier is the kernel's, on the host's end of the port.
type classifier struct {
	port    *Port
	host    *rtnl.Link
	program []bpf.RawInstruction
	held    bool // to what the program lets pass
}

func readClassifier(ctx context.Context, p *Port, host *rtnl.Link) (*classifier, error) {
	c := &classifier{port: p, host: host}
	var err error
	if c.program, err = rtnl.Filter(ctx, p.Host.Conn, host.Index); err == nil {
		c.held, err = held(ctx, p.Host, host)
	}
	return c, err
}

// On says whether there is one.
func (c *classifier) On() bool { return c.program != nil }

// Is says whether it is as the Pin says.
func (c *classifier) Is(p Pin) bool {
	want, err := p.program()
	return err == nil && slices.Equal(c.program, want) && c.held == !p.Open && (c.host.Group == rtnl.Pinned) == c.held
}

// Set replaces it, and has the Pin say whether it is Open.
func (c *classifier) Set(ctx context.Context, next *Pin) error {
	p := c.port
	if next == nil {
		return unpin(ctx, p.Host, c.host.Index, ungrouped(c.host))
	}
	defer hold(ctx, p.Host.RLock)()
	if err := next.set(ctx, p, c.host.Index); err != nil {
		return err
	}
	group := next.group()
	if group == 0 {
		group = ungrouped(c.host)
	}
	return regroup(ctx, p.Host.Conn, c.host, group)
}

// Restore sets what was read.
func (c *classifier) Restore(ctx context.Context) error {
	p := c.port
	if c.program == nil {
		return unpin(ctx, p.Host, c.host.Index, ungrouped(c.host))
	}
	defer hold(ctx, p.Host.RLock)()
	if err := rtnl.SetFilter(ctx, p.Host.Conn, c.host.Index, c.program); err != nil {
		return err
	}
	if c.host.Group == rtnl.Pinned {
		if err := holdPort(ctx, p.Host, c.host.Index); err != nil {
			return err
		}
	}
	return rtnl.SetGroup(ctx, p.Host.Conn, c.host.Index, c.host.Group)
}

// A PinnedEnd is the host's end of a pair, and what it lets pass.
type PinnedEnd struct {
	Mark   Mark
	host   *rtnl.Link
	filter Filter
}

// PinOf reads what passes by the host's end p.HostName.
func PinOf(ctx context.Context, b Backend, p *Port) (*PinnedEnd, error) {
	host, err := rtnl.LinkByName(ctx, p.Host.Conn, p.HostName)
	if err != nil {
		return nil, err
	}
	e := &PinnedEnd{host: host}
	e.Mark, _ = ParseMark(host.Alias)
	if f, own := b.(Filterer); own {
		e.filter, err = f.Filter(ctx, p)
	} else {
		e.filter, err = readClassifier(ctx, p, host)
	}
	return e, err
}

// Pinned says whether a Pin decides what passes, or the mark says so.
func (e *PinnedEnd) Pinned() bool { return e.filter.On() || e.Mark.Pin != "" }

// Lets says whether what passes, and what the mark tells of it, is as the Pin says.
func (e *PinnedEnd) Lets(p Pin) bool { return e.filter.Is(p) && e.Mark.Pin == p.note() }

// Set has the end let pass what the Pin says; nil is everything. The reverse is pushed on u.
func (e *PinnedEnd) Set(ctx context.Context, p *Port, u *Undo, next *Pin) error {
	u.Push("pin of "+e.host.Name, e.filter.Restore)
	if err := e.filter.Set(ctx, next); err != nil {
		return err
	}
	note := ""
	if next != nil {
		note = next.note()
	}
	return e.note(ctx, p.Host.Conn, u, note)
}

// note has the end's mark tell what passes.
func (e *PinnedEnd) note(ctx context.Context, c *ns.Conn, u *Undo, text string) error {
	if e.Mark.Pin == text {
		return nil
	}
	u.Push("mark of "+e.host.Name, func(ctx context.Context) error { return repin(ctx, c, e.host.Index, e.Mark.Pin) })
	return repin(ctx, c, e.host.Index, text)
}

// repin writes into the mark of the host's end what passes, and leaves what others wrote there
// meanwhile.
func repin(ctx context.Context, c *ns.Conn, index int, pin string) error {
	l, err := rtnl.LinkByIndex(ctx, c, index)
	if err != nil {
		return err
	}
	m, ours := ParseMark(l.Alias)
	if !ours {
		return nil
	}
	text, err := m.pinned(pin)
	if err != nil {
		return err
	}
	return rtnl.SetAlias(ctx, c, l.Index, text)
}

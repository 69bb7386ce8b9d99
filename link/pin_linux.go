package link

import (
	"context"
	"slices"

	"golang.org/x/net/bpf"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// set pins what comes in by the host's end of this index.
func (p Pin) set(ctx context.Context, c *ns.Conn, index int) error {
	program, err := p.program()
	if err != nil {
		return err
	}
	return rtnl.SetFilter(ctx, c, index, program)
}

// A classifier is the kernel's, on the host's end of this index.
type classifier struct {
	host    *ns.Conn
	index   int
	program []bpf.RawInstruction
}

func readClassifier(ctx context.Context, c *ns.Conn, index int) (*classifier, error) {
	program, err := rtnl.Filter(ctx, c, index)
	return &classifier{c, index, program}, err
}

// On says whether there is one.
func (c *classifier) On() bool { return c.program != nil }

// Is says whether it is as the Pin says.
func (c *classifier) Is(p Pin) bool {
	want, err := p.program()
	return err == nil && slices.Equal(c.program, want)
}

// Set replaces it.
func (c *classifier) Set(ctx context.Context, p *Pin) error {
	if p == nil {
		return rtnl.DelFilter(ctx, c.host, c.index)
	}
	return p.set(ctx, c.host, c.index)
}

// Restore sets what was read.
func (c *classifier) Restore(ctx context.Context) error {
	if c.program == nil {
		return rtnl.DelFilter(ctx, c.host, c.index)
	}
	return rtnl.SetFilter(ctx, c.host, c.index, c.program)
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
		e.filter, err = readClassifier(ctx, p.Host.Conn, host.Index)
	}
	return e, err
}

// Pinned says whether a Pin decides what passes, or the mark says so.
func (e *PinnedEnd) Pinned() bool { return e.filter.On() || e.Mark.Pin != "" }

// Lets says whether what passes, and what the mark tells of it, is as the Pin says.
func (e *PinnedEnd) Lets(p Pin) bool { return e.filter.Is(p) && e.Mark.Pin == p.note() }

// Set has the end let pass what the Pin says, in one step; nil is everything. The reverse is
// pushed on u.
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

package parts

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Shaping slows down what the guest sends and receives.
type Shaping struct {
	Egress, Ingress *link.Shaping
	// Link is told in the error where it has no end on the host to shape.
	Link link.Backend
}

var _ Part = Shaping{}

// An end is one end of what is plugged in.
type end struct {
	conn *ns.Conn
	link *rtnl.Link
}

// qdisc is what does the shaping; nil is none.
func qdisc(s *link.Shaping) *rtnl.Qdisc {
	if s == nil {
		return nil
	}
	q := &rtnl.Qdisc{Kind: "netem", Rate: uint64(s.Rate+7) / 8, Latency: s.Delay, Jitter: s.Jitter, Loss: uint32(math.Round(s.Loss / 100 * math.MaxUint32))}
	if s.Delay == 0 && s.Loss == 0 {
		q.Kind = "tbf"
	}
	return q
}

// Apply shapes a new interface; what it does goes with it. See [Part].
func (p Shaping) Apply(ctx context.Context, s *Site) error {
	return p.each(ctx, s, func(e end, want *rtnl.Qdisc) error {
		if want == nil {
			return nil
		}
		s.Log(ctx, "shape", "qdisc", *want)
		return rtnl.SetQdisc(ctx, e.conn, e.link.Index, *want)
	})
}

// Asks is what is slowed down; see [Part].
func (p Shaping) Asks(context.Context, *Site) (lines []string, _ error) {
	if p.Egress != nil {
		lines = append(lines, "egress "+p.Egress.String())
	}
	if p.Ingress != nil {
		lines = append(lines, "ingress "+p.Ingress.String())
	}
	return lines, nil
}

// Remove has nothing to do: qdiscs go with the interface.
func (Shaping) Remove(context.Context, *Site) error { return nil }

// each calls do for the ends that are to be shaped, and where s.Exact for each end.
func (p Shaping) each(ctx context.Context, s *Site, do func(end, *rtnl.Qdisc) error) error {
	if p.Egress != nil || s.Exact {
		if err := do(end{s.Port.Conn, s.Link}, qdisc(p.Egress)); err != nil {
			return err
		}
	}
	host := s.Port.HostName
	switch {
	case p.Ingress != nil && host == "":
		return errs.New(errors.ErrUnsupported, "%s has no end on the host: what the guest receives can only be shaped where it is sent", p.Link)
	case p.Ingress == nil && !s.Exact || host == "":
		return nil
	}
	l, err := rtnl.LinkByName(ctx, s.Port.Host.Conn, host)
	if err != nil {
		return err
	}
	return do(end{s.Port.Host.Conn, l}, qdisc(p.Ingress))
}

// Compare tells of ends that are shaped otherwise; see [Part].
func (p Shaping) Compare(ctx context.Context, s *Site) (d Diff, err error) {
	err = p.each(ctx, s, func(e end, want *rtnl.Qdisc) error {
		have, err := rtnl.RootQdisc(ctx, e.conn, e.link.Index)
		switch {
		case err != nil:
			return err
		case want == nil && have.Ours():
			d.Surplus = append(d.Surplus, link.Drift{What: e.link.Name + " has the qdisc " + have.String(), Mend: func(ctx context.Context, u *link.Undo) error {
				u.Push("qdisc of "+e.link.Name, func(ctx context.Context) error { return rtnl.SetQdisc(ctx, e.conn, e.link.Index, have) })
				return rtnl.DelQdisc(ctx, e.conn, e.link.Index)
			}})
		case want != nil && !have.Same(*want):
			d.Missing = append(d.Missing, link.Drift{What: fmt.Sprintf("qdisc of %s is %s instead of %s", e.link.Name, have, *want), Mend: func(ctx context.Context, u *link.Undo) error {
				u.Push("qdisc of "+e.link.Name, func(ctx context.Context) error { return putQdisc(ctx, e, have) })
				return rtnl.SetQdisc(ctx, e.conn, e.link.Index, *want)
			}})
		}
		return nil
	})
	return d, err
}

// putQdisc gives the end back what it had; of those that pipework did not make, the
// kernel's default.
func putQdisc(ctx context.Context, e end, had rtnl.Qdisc) error {
	if had.Ours() {
		return rtnl.SetQdisc(ctx, e.conn, e.link.Index, had)
	}
	return rtnl.DelQdisc(ctx, e.conn, e.link.Index)
}

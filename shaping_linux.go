package pipework

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

// qdisc is what does the shaping.
func qdisc(s link.Shaping) rtnl.Qdisc {
	q := rtnl.Qdisc{Kind: "netem", Rate: uint64(s.Rate+7) / 8, Latency: s.Delay, Jitter: s.Jitter, Loss: uint32(math.Round(s.Loss / 100 * math.MaxUint32))}
	if s.Delay == 0 && s.Loss == 0 {
		q.Kind = "tbf"
	}
	return q
}

// A shaped link is one end of what is plugged in.
type shaped struct {
	conn *ns.Conn
	link *rtnl.Link
	want rtnl.Qdisc
}

// shapes are the links that the Spec wants to be shaped.
func (j *job) shapes(ctx context.Context, l *rtnl.Link) (list []shaped, err error) {
	if s := j.spec.Egress; s != nil {
		list = append(list, shaped{j.port.Conn, l, qdisc(*s)})
	}
	s := j.spec.Ingress
	switch {
	case s == nil:
		return list, nil
	case j.port.HostName == "":
		return nil, errs.New(errors.ErrUnsupported, "%s has no end on the host: what the guest receives can only be shaped where it is sent", j.spec.Link)
	}
	host, err := rtnl.LinkByName(ctx, j.host.Conn, j.port.HostName)
	return append(list, shaped{j.host.Conn, host, qdisc(*s)}), err
}

// shape shapes a new interface; what it does goes with it.
func (j *job) shape(ctx context.Context, l *rtnl.Link) error {
	list, err := j.shapes(ctx, l)
	for _, s := range list {
		if err == nil {
			j.log(ctx, "shape", "qdisc", s.want)
			err = rtnl.SetQdisc(ctx, s.conn, s.link.Index, s.want)
		}
	}
	return err
}

// shapeDrifts tells of links that are shaped otherwise than the Spec says.
func (j *job) shapeDrifts(ctx context.Context, l *rtnl.Link) (drifts []link.Drift, err error) {
	list, err := j.shapes(ctx, l)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		have, err := rtnl.RootQdisc(ctx, s.conn, s.link.Index)
		if err != nil {
			return nil, err
		}
		if have == s.want {
			continue
		}
		drifts = append(drifts, link.Drift{What: fmt.Sprintf("qdisc of %s is %s instead of %s", s.link.Name, have, s.want), Mend: func(ctx context.Context, u *link.Undo) error {
			u.Push("qdisc of "+s.link.Name, func(ctx context.Context) error { return rtnl.DelQdisc(ctx, s.conn, s.link.Index) })
			return rtnl.SetQdisc(ctx, s.conn, s.link.Index, s.want)
		}})
	}
	return drifts, nil
}

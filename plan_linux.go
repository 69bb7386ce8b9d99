package pipework

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/parts"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// Plan tells in Attachment.Plan what Attach would do just now, a line each: what a new
// interface would be given, or what would be mended and added of one that is there; nothing
// where all is as asked. It goes the way of Attach in a context in which no netlink message
// that changes something is sent and no DHCP server is asked, and takes no lock. What Attach
// would refuse is an error here, too, as far as it can be read beforehand (see link.Foreteller);
// what the kernel, Open vSwitch or a server knows only when it is asked is not. Needs the
// privileges of Attach.
func (a *Attacher) Plan(ctx context.Context, t Target, s Spec) (out *Attachment, err error) {
	ctx = fault.ReadOnly(ctx)
	err = a.one(ctx, "attach", Job{t, s}, func(j *job) error {
		j.plan = &plan{}
		if err := (finder{j}).refuseTwin(ctx); err != nil {
			return err
		}
		out, err = planner{j}.attach(ctx)
		return err
	})
	return out, err
}

// A plan is what a job would do, that does nothing.
type plan struct {
	lines  []string
	adding bool // to an interface that another Spec made
}

func (p *plan) add(format string, args ...any) {
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
}

// mend plans that d is put right, or that what the Spec asks for is added.
func (p *plan) mend(d drift) {
	_, isDevice := d.Part.(parts.Device)
	if what, isGone := strings.CutSuffix(d.What, " is gone"); p.adding && isGone && !isDevice {
		p.add("add: %s", what)
		return
	}
	p.add("mend: %s", d.What)
}

// A planner tells what a job would do.
type planner struct{ *job }

// attach goes the way of an attach.
func (j planner) attach(ctx context.Context) (*Attachment, error) {
	_, err := rtnl.LinkByName(ctx, j.port.Conn, j.spec.Name)
	var out *Attachment
	switch {
	case errors.Is(err, fs.ErrNotExist):
		out, err = j.fresh(ctx)
	case err != nil:
		err = j.fail(StageLink, err)
	default:
		out, err = j.again(ctx, errs.New(fs.ErrExist, "the guest has an interface %s already", j.spec.Name))
	}
	if err != nil {
		return nil, err
	}
	out.Plan, out.Mended, out.Added, out.Warnings = j.plan.lines, nil, nil, j.port.Warnings
	return out, nil
}

// fresh is what a new interface would be given.
func (j planner) fresh(ctx context.Context) (*Attachment, error) {
	if b, can := j.spec.Link.(link.Foreteller); can {
		makes, err := b.Foretell(ctx, &j.port)
		if err != nil {
			return nil, finder(j).asTwin(ctx, j.fail(StageLink, err))
		}
		for _, what := range makes {
			j.plan.add("make %s", what)
		}
	}
	j.plan.add("plug %s in on %s", j.spec.Name, j.spec.Link)
	for _, c := range j.concerns() {
		lines, err := c.Asks(ctx, &j.site)
		if err != nil {
			return nil, j.fail(c.stage, err)
		}
		j.plan.lines = append(j.plan.lines, lines...)
	}
	return &Attachment{
		Guest: j.guest.Identity, Name: j.spec.Name, Link: j.spec.Link.String(), MAC: MAC(j.spec.MAC), MTU: j.spec.MTU,
		Addrs: append([]netip.Prefix{}, j.spec.Addrs...), Gateways: j.spec.Gateways,
	}, nil
}

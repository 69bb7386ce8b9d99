package pipework

import (
	"context"
	"io/fs"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// Adopt is for whoever plugs an interface into one namespace, by Attach, and has another program
// move it on into the guest's, as Docker does. It finds the interface that was plugged in as
// s.Name, once it is up there under another name, marks it as the guest's and s's, and returns
// that name. An Attach of s with this name then mends what differs. Until the interface is
// there, and up, the error satisfies fs.ErrNotExist. Others are those of Attach.
func (a *Attacher) Adopt(ctx context.Context, t Target, s Spec) (name string, err error) {
	err = a.one(ctx, "adopt", Job{t, s}, func(j *job) error {
		unlock, err := j.lock(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		name, err = adopter{j}.adopt(ctx)
		return err
	})
	return name, err
}

// An adopter is a job that finds what another program has moved on into the guest.
type adopter struct{ *job }

func (j adopter) adopt(ctx context.Context) (name string, err error) {
	was := j.spec.Name
	l, mark, err := j.moved(ctx, was)
	if err != nil {
		return "", err
	}
	ctx, end := finish.Context(ctx) // what has begun is finished
	defer end()
	j.spec.Name, j.port.Name = l.Name, l.Name
	if mark.Spec, err = j.spec.digest(); err != nil {
		return "", j.fail(StageSpec, err)
	}
	mark.Link, mark.Interface, mark.Guest = j.port.Mark.Link, l.Name, j.guest.Identity
	if err := j.adoptHost(ctx, l, mark, was); err != nil { // first: who finds it, finds it by the other one
		return "", j.fail(StageLink, err)
	}
	if err := rtnl.SetAlias(ctx, j.port.Conn, l.Index, mark.String()); err != nil {
		return "", j.fail(StageLink, err)
	}
	return l.Name, nil
}

// moved is the interface that was plugged in as was, and its own mark: also one that a call which
// was killed has marked already.
func (j adopter) moved(ctx context.Context, was string) (*rtnl.Link, link.Mark, error) {
	links, err := rtnl.Links(ctx, j.port.Conn)
	if err != nil {
		return nil, link.Mark{}, j.fail(StageLink, err)
	}
	for _, l := range links {
		m, ours := link.ParseMark(l.Alias)
		if !ours || l.Name == was || !l.Up {
			continue
		}
		s := j.spec
		s.Name = l.Name
		digest, err := s.digest()
		if err != nil {
			return nil, m, j.fail(StageSpec, err)
		}
		if m.Interface == was || m.Interface == l.Name && m.Spec == digest {
			return l, m, nil
		}
	}
	return nil, link.Mark{}, j.fail(StageInterface, errs.New(fs.ErrNotExist, "no interface that was %s is there, and up", was))
}

// adoptHost marks the host's end of a pair. The guest could write the mark by which its own end
// was found, so that the host's end has to say the same.
func (j adopter) adoptHost(ctx context.Context, l *rtnl.Link, mark link.Mark, was string) error {
	if l.Kind != "veth" {
		return nil
	}
	told, is := link.PairMark(ctx, &j.port)
	if !is || told.Interface != was && told.Interface != l.Name || told.Link != mark.Link {
		return errs.New(fs.ErrPermission, "the host has no end of it: leaving it alone")
	}
	host, err := rtnl.LinkByName(ctx, j.host.Conn, j.port.HostName)
	if err != nil {
		return err
	}
	told.Interface, told.Guest, told.Spec = mark.Interface, mark.Guest, mark.Spec
	told.Namespace = j.guest.Inode().Ino
	return rtnl.SetAlias(ctx, j.host.Conn, host.Index, told.String())
}

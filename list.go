//go:build linux

package pipework

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/namespaces"
	"github.com/go-pipework/pipework/internal/parts"
	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// List is [List] by this Attacher.
func (a *Attacher) List(ctx context.Context, targets ...Target) ([]*Attachment, error) {
	s := survey{Attacher: a, every: len(targets) == 0, seen: map[ns.Inode]bool{}}
	if s.every {
		targets = namespaces.Every()
	}
	all := []*Attachment{}
	var denied error
	var failed []error
	for _, t := range targets {
		list, err := s.list(ctx, t)
		switch {
		case err == nil:
			all = append(all, list...)
		case s.every && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid)): // it ended while we looked, or left its name behind
		case s.every && errors.Is(err, fs.ErrPermission):
			denied = err // even root may be denied some process, which then is the host's
		case s.every && ctx.Err() == nil:
			failed = append(failed, err)
		default:
			return nil, err
		}
	}
	if len(failed) > 0 {
		return all, errs.Join(failed...)
	}
	if denied != nil && os.Geteuid() != 0 {
		return all, &Error{Op: "list", Stage: StageGuest, Err: errs.New(fs.ErrPermission, "some namespaces could not be looked into: %w", errors.Unwrap(denied))}
	}
	return all, nil
}

// A survey is one List.
type survey struct {
	*Attacher
	every bool // of every namespace, and then not of what other hosts have plugged in
	seen  map[ns.Inode]bool
}

// list tells what is plugged into one target, whose namespace was not seen yet.
func (s survey) list(ctx context.Context, t Target) ([]*Attachment, error) {
	var all []*Attachment
	err := s.one(ctx, "list", Job{t, Spec{AllowHost: true}}, func(j *job) (err error) {
		all, err = lister{j, s}.list(ctx)
		return err
	})
	return all, err
}

// A lister tells what is plugged into a job's guest.
type lister struct {
	*job
	survey survey
}

func (j lister) list(ctx context.Context) ([]*Attachment, error) {
	if j.survey.seen[j.guest.Inode()] {
		return nil, nil
	}
	j.survey.seen[j.guest.Inode()] = true
	links, err := rtnl.Links(ctx, j.port.Conn)
	if err != nil {
		return nil, j.fail(StageLink, err)
	}
	nics, err := link.NICs(ctx, j.guest.Handle)
	if err != nil {
		return nil, j.fail(StageLink, err)
	}
	pairs, err := j.faked(ctx, links)
	if err != nil {
		return nil, j.fail(StageLink, err)
	}
	onHost := j.guest.Inode() == j.host.Inode()
	isElsewhere, err := j.elsewhere(ctx)
	if err != nil {
		return nil, j.fail(StageLink, err)
	}
	var all []*Attachment
	for _, l := range links {
		if isElsewhere(l) {
			continue
		}
		mark, ours := j.claimed(ctx, l, nics)
		if pair, is := pairs[l.Index]; is {
			mark, ours = pair, pair.Link != ""
		}
		_, known := nics[l.Index]
		if ours && mark.IsNIC() && !known && theTrueOneIsIn(nics, mark) {
			continue // Check of that one tells of it
		}
		if l.Unfinished() {
			continue // somebody is at work on it, or was killed: gc tells
		}
		if !ours || onHost && (!l.Up || l.Foreign && l.Kind == "veth" || mark.Interface != l.Name) {
			continue // host ends bear the mark too, and what returned from dead guests
		}
		j.port.Name, j.port.Mark, j.port.HostName, j.port.Warnings = l.Name, mark, "", nil
		if _, fromHere := link.HostMark(ctx, &j.port); !known && l.Kind == "veth" && mark.Interface != l.Name && !fromHere {
			continue // a host's end on another host, not a guest's that was renamed
		}
		one, err := j.describe(ctx, l, mark)
		switch {
		case err == nil:
			all = append(all, one)
		case errors.Is(err, fs.ErrNotExist), j.isGone(ctx, l):
		default:
			return nil, err
		}
	}
	return all, nil
}

// elsewhere returns whether a link of the guest's stands on, or has its other end on, another
// host than this one, such as a container in which pipework is used; of a pair of two guests that is
// not known.
func (j lister) elsewhere(ctx context.Context) (func(*rtnl.Link) bool, error) {
	if !j.survey.every || j.guest.Inode() == j.host.Inode() {
		return func(*rtnl.Link) bool { return false }, nil
	}
	host, err := rtnl.NSID(ctx, j.port.Conn, j.host.Handle)
	return func(l *rtnl.Link) bool {
		mark, _ := link.ParseMark(l.Alias)
		ofGuests := strings.HasPrefix(mark.Link, "veth:") && strings.Contains(mark.Link, "/")
		return beyond(l, host) && !ofGuests
	}, err
}

// beyond says whether the other end of the link is in another namespace than the one of this
// number: that is -1 where no link leads there, as is the number of a namespace that ends.
func beyond(l *rtnl.Link, number int) bool {
	return l.Foreign && (number < 0 || l.NSID != number)
}

// isGone says whether the link was taken away meanwhile.
func (j lister) isGone(ctx context.Context, l *rtnl.Link) bool {
	_, err := rtnl.LinkByIndex(ctx, j.port.Conn, l.Index)
	return errors.Is(err, fs.ErrNotExist)
}

// describe reads one interface, and what drifted of what its mark tells.
func (j lister) describe(ctx context.Context, l *rtnl.Link, mark link.Mark) (*Attachment, error) {
	j.spec.Link, _ = link.FromMark(mark) // nil: of another package, which the mark does not make
	j.site = parts.Site{Name: mark.Interface, Port: &j.port, Undo: &j.undo, Log: j.log}
	j.here(l, mark)
	var drifts []string
	for _, c := range j.concerns() {
		d, err := c.Compare(ctx, &j.site)
		if err != nil {
			drifts = append(drifts, fmt.Sprint(err))
		}
		for _, d := range d.Missing {
			drifts = append(drifts, d.What)
		}
	}
	out, err := j.read(ctx)
	if err != nil {
		return nil, err
	}
	lost, err := j.site.LostDefaults(ctx)
	if err != nil {
		return nil, j.fail(StageRoute, err)
	}
	drifts = append(drifts, lost...)
	if mark.Guest.Name != "" {
		out.Guest.Name, out.Guest.ID, out.Guest.NetworkOf = mark.Guest.Name, fullID(mark.Guest, out.Guest), mark.Guest.NetworkOf
	}
	out.Drifts, out.Warnings = drifts, j.port.Warnings
	out.Namespace = &ns.Instance{Inode: j.guest.Inode(), Cookie: j.port.Conn.Cookie(), NSID: -1}
	return out, nil
}

// fullID is the ID of the guest that the mark names, of which the mark has the first
// twelve digits, as the guest itself or its control group tell; else what the mark has.
func fullID(marked, opened ns.Identity) string {
	switch {
	case marked.ID == "":
		return ""
	case strings.HasPrefix(opened.ID, marked.ID):
		return opened.ID
	}
	for _, pid := range []int{marked.PID, opened.PID} {
		if id := process.ContainerID(pid, marked.ID); pid > 0 && id != "" {
			return id
		}
	}
	return marked.ID
}

// claimed is the mark of a link as List takes it: of an interface of the host's own
// the host's record, of a pair's what its end on the host bears, whatever the guest wrote.
func (j lister) claimed(ctx context.Context, l *rtnl.Link, nics map[int]link.Mark) (link.Mark, bool) {
	own, ours := link.ParseMark(l.Alias)
	if nic, is := nics[l.Index]; is {
		return nic, true
	}
	if l.Kind == "veth" {
		j.port.Name, j.port.Mark = l.Name, own
		if host, proven := link.PairMark(ctx, &j.port); proven {
			return newer(host, own), true
		}
	}
	return own, ours
}

// faked are the links that bear the mark of a pair that leads into the guest and are
// not it: with no mark; and the ends of such pairs, with the mark on the host.
func (j lister) faked(ctx context.Context, links []*rtnl.Link) (map[int]link.Mark, error) {
	found := make(map[int]link.Mark)
	for _, l := range links {
		mark, ours := link.ParseMark(l.Alias)
		j.port.Name, j.port.Mark = l.Name, mark
		if !ours || mark.IsNIC() {
			continue
		}
		if _, proven := link.HostMark(ctx, &j.port); proven {
			continue
		}
		pairs, err := link.PairsOf(ctx, &j.port)
		if err != nil {
			return nil, err
		}
		for index, m := range pairs {
			if m.Link == mark.Link {
				found[l.Index], found[index] = link.Mark{}, m
			}
		}
	}
	return found, nil
}

func theTrueOneIsIn(nics map[int]link.Mark, mark link.Mark) bool {
	for _, nic := range nics {
		if nic.Link == mark.Link {
			return true
		}
	}
	return false
}

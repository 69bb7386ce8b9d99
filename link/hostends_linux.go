package link

import (
	"context"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// hostEnds are the host's ends of pairs that pipework made. They are on the host, so
// that their marks are true: a guest's root chooses names, indexes and marks of what
// it has, and may move its end to another namespace. The host is asked once.
type hostEnds struct {
	asked bool
	all   []*rtnl.Link
	marks map[*rtnl.Link]Mark
}

func (e *hostEnds) ask(ctx context.Context, h Host) error {
	if e.asked {
		return nil
	}
	links, err := rtnl.LinksOfKind(ctx, h.Conn, "veth")
	if err != nil {
		return err
	}
	e.asked, e.marks = true, make(map[*rtnl.Link]Mark)
	for _, l := range links {
		if m, ours := ParseMark(l.Alias); ours && !m.IsNIC() && l.Foreign {
			e.all, e.marks[l] = append(e.all, l), m
		}
	}
	return nil
}

// of are those of the guest's interface p.Mark.Interface: there is more than one where
// the guest hid one, and was given another.
func (e *hostEnds) of(ctx context.Context, p *Port) (mine []*rtnl.Link, err error) {
	if p.Guest.Inode() == p.Host.Inode() { // whose both ends are here, and the host's to name
		host, err := vethHostEnd(ctx, p)
		if isNoHostEnd(err) {
			return nil, nil
		}
		return []*rtnl.Link{host}, err
	}
	if err := e.ask(ctx, p.Host); err != nil || len(e.all) == 0 {
		return nil, err
	}
	id, err := rtnl.NSID(ctx, p.Host.Conn, p.Guest.Handle)
	if err != nil {
		return nil, err
	}
	for _, l := range e.all {
		m := e.marks[l]
		if m.Interface == p.Mark.Interface && (id >= 0 && l.NSID == id || movedOn(l, m, p)) {
			mine = append(mine, l)
		}
	}
	return mine, nil
}

// movedOn says whether the guest's end was made in the guest, wherever it is by now.
func movedOn(host *rtnl.Link, m Mark, p *Port) bool {
	if host.Name == hashedName(m.Interface, p.Guest) { // which the namespace is part of
		return true
	}
	is := p.Guest.Identity
	if m.Namespace == p.Guest.Inode().Ino && m.Guest.PID == is.PID && m.Guest.Name == is.Name {
		return true
	}
	return is.ID != "" && m.Guest.ID == short(is.ID) && m.Guest.PID == is.PID && m.Guest.Name == is.Name
}

// PairsOf are the pairs of the guest's interface p.Mark.Interface, by their ends on
// the host, which decide: their marks by the indexes of the other ends in the guest,
// 0 for one that the guest has moved on to another namespace.
func PairsOf(ctx context.Context, p *Port) (map[int]Mark, error) {
	if p.Guest.Inode() == p.Host.Inode() {
		return nil, nil
	}
	var e hostEnds
	mine, err := e.of(ctx, p)
	if err != nil || len(mine) == 0 {
		return nil, err
	}
	id, err := rtnl.NSID(ctx, p.Host.Conn, p.Guest.Handle)
	pairs := make(map[int]Mark)
	for _, l := range mine {
		if l.NSID == id {
			pairs[l.Parent] = e.marks[l]
		} else {
			pairs[0] = e.marks[l]
		}
	}
	return pairs, err
}

package pipework

import (
	"context"
	"io/fs"
	"strings"

	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// refuseTwin refuses to make a second interface of the name, with the same MAC and
// addresses, where somebody in the guest has renamed the first.
func (j finder) refuseTwin(ctx context.Context) error {
	if j.guest.Inode() == j.host.Inode() { // where other guests' ends of pairs are
		return nil
	}
	links, err := rtnl.Links(ctx, j.port.Conn)
	if err != nil {
		return j.fail(StageLink, err)
	}
	var renamed *rtnl.Link
	for _, l := range links {
		if l.Name == j.spec.Name {
			return nil // which Plug finds
		}
		if m, ours := link.ParseMark(l.Alias); ours && m.Interface == j.spec.Name {
			if is, err := j.isGuests(ctx, l, m); err != nil {
				return j.fail(StageLink, err)
			} else if is {
				renamed = l
			}
		}
	}
	if renamed == nil {
		return nil
	}
	return j.twin(renamed)
}

// isGuests says whether the interface was plugged into the guest, as its mark says: one of
// the host's own by the host's record. A veth with a mark may be the end of a pair to another
// guest, of which this one is the host; its own has its other end here, or in a guest.
func (j finder) isGuests(ctx context.Context, l *rtnl.Link, m link.Mark) (bool, error) {
	switch {
	case m.IsNIC():
		nics, err := link.NICs(ctx, j.guest.Handle)
		return nics[l.Index].Interface == j.spec.Name, err
	case l.Kind != "veth", strings.HasPrefix(m.Link, "veth:") && strings.Contains(m.Link, "/"):
		return true, nil
	}
	p := j.port
	p.Name, p.Mark = l.Name, m
	_, fromHere := link.HostMark(ctx, &p)
	return fromHere, nil
}

func (j finder) twin(l *rtnl.Link) error {
	return j.fail(StageLink, errs.New(fs.ErrExist, "it is called %s in the guest now: detach it first, or rename it back (ip link set %[1]s name %s)", charset.Shown(l.Name), j.spec.Name))
}

// asTwin is err, or what it comes from: a pair whose end in the guest was renamed, and
// bears no mark any more.
func (j finder) asTwin(ctx context.Context, err error) error {
	if ctx.Err() != nil || j.guest.Inode() == j.host.Inode() {
		return err
	}
	ctx = fault.Off(ctx)
	pairs, failed := link.PairsOf(ctx, &j.port)
	if failed != nil {
		return err
	}
	for index := range pairs {
		if l, gone := rtnl.LinkByIndex(ctx, j.port.Conn, index); index != 0 && gone == nil && l.Name != j.spec.Name {
			return j.twin(l)
		}
	}
	return err
}

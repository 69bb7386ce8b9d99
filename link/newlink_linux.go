package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// A newLink is an interface to be made in a guest that has no end on the host.
type newLink struct {
	kind   string           // of its rtnl_link_ops
	config string           // the kernel's option for it
	parent int              // index on the host of what it stands on; 0: nothing
	mac    net.HardwareAddr // nil: not the caller's to choose
	option rtnl.Option
}

// link is the message that makes it on the host.
func (n newLink) link(name string, mtu int) rtnl.NewLink {
	return rtnl.NewLink{
		End:  rtnl.End{Name: name, MAC: n.mac, MTU: mtu},
		Kind: n.kind, Parent: n.parent, Option: n.option,
	}
}

// plug makes the interface p.Name in the guest, born in place: one message makes
// it inside the guest with its final name, MAC and MTU.
func (n newLink) plug(ctx context.Context, p *Port, u *Undo) error {
	err := n.inPlace(ctx, p, 0)
	if _, refused := errors.AsType[unix.Errno](err); refused {
		if err := free(ctx, p); err != nil {
			return err
		}
	}
	if errors.Is(err, unix.EEXIST) {
		// Not in the guest: kernels before 6.15 look for the name in the namespace
		// that the message comes from, unless the message gives an index.
		err = n.inPlace(ctx, p, oddIndex())
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENODEV) {
		err = n.moveIn(ctx, p, u)
	}
	if err != nil {
		return newLinkError(err, n.kind, n.config, p)
	}
	p.Made = n.mac != nil && p.MTU > 0
	u.Push("interface "+p.Name, func(ctx context.Context) error { return rtnl.DelLink(ctx, p.Conn, p.Name) })
	return nil
}

// oddIndex is an interface index that the kernel, which counts from 1, does not
// come to by itself.
func oddIndex() int { return 1<<20 + rand.IntN(1<<20) }

// stepInPlace names the step after which, when it fails with EINVAL, a kernel
// passes for one that makes no links in other namespaces.
const stepInPlace = "create in place"

func (n newLink) inPlace(ctx context.Context, p *Port, index int) error {
	if err := fault.Step(ctx, stepInPlace); err != nil {
		return err
	}
	l := n.link(p.Name, p.MTU)
	l.Index, l.Namespace = index, p.Guest.Handle
	return l.Add(ctx, p.Host.Conn)
}

// moveIn is the slow path, for kernels that refuse to make such a link in
// another namespace or look for its parent there: it makes the interface on the
// host under a name that nobody has, marks it, and moves it in.
func (n newLink) moveIn(ctx context.Context, p *Port, u *Undo) error {
	defer hold(ctx, p.Host.RLock)() // Collect does not know it from one left behind
	name := fmt.Sprintf("pw%x", rand.Uint32())
	if err := n.link(name, p.MTU).Add(ctx, p.Host.Conn); err != nil {
		return err
	}
	u.Push("interface "+name, func(ctx context.Context) error { return rtnl.DelLink(ctx, p.Host.Conn, name) })
	l, err := rtnl.LinkByName(ctx, p.Host.Conn, name)
	if err != nil {
		return err
	}
	if err := rtnl.FinishDown(ctx, p.Host.Conn, l.Index, p.Mark.String()); err != nil {
		return err
	}
	return rtnl.Move(ctx, p.Host.Conn, l.Index, rtnl.Place{Namespace: p.Guest.Handle, Name: p.Name})
}

// free makes sure that the guest has no interface of this name, where something
// on the host would be changed before the kernel could say so.
func free(ctx context.Context, p *Port) error {
	_, err := rtnl.LinkByName(ctx, p.Conn, p.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return taken(p, err)
}

// taken is the error of a guest that has an interface of this name already;
// err is how the look-up ended.
func taken(p *Port, err error) error {
	if err != nil {
		return err
	}
	return errs.New(fs.ErrExist, "the guest has an interface %s already", p.Name)
}

// enotsupp is ENOTSUPP of linux/errno.h, which some drivers let out.
const enotsupp = unix.Errno(524)

// newLinkError says what the errno of an RTM_NEWLINK means for a user.
func newLinkError(err error, kind, config string, p *Port) error {
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return errs.New(errors.ErrUnsupported, "this kernel has no %s links: %s", kind, config)
	case errors.Is(err, unix.EPERM):
		return errs.New(fs.ErrPermission, "create %s link: needs CAP_NET_ADMIN in the host's and in the guest's network namespace (run as root)", kind)
	case errors.Is(err, unix.EXFULL):
		return fmt.Errorf("create %s link for %s: the bridge has 1023 ports, a Linux bridge's most: %w", kind, p.Name, err)
	case errors.Is(err, unix.EINVAL) && p.MTU > 0:
		return fmt.Errorf("create %s link for %s (MTU %d): %w", kind, p.Name, p.MTU, err)
	}
	return fmt.Errorf("create %s link for %s: %w", kind, p.Name, err)
}

// checkKind finds the guest's interface, which must be of this kind.
func checkKind(ctx context.Context, p *Port, kind string) (*rtnl.Link, error) {
	l, err := rtnl.LinkByName(ctx, p.Conn, p.Name)
	if err != nil {
		return nil, err
	}
	if l.Kind != kind {
		return nil, errs.New(fs.ErrInvalid, "%s in %s is not a %s interface but %s", p.Name, p.Guest.Name, kind, kindOf(l))
	}
	return l, nil
}

// unplugLink removes the guest's interface.
func unplugLink(ctx context.Context, p *Port) error {
	if p.Conn == nil {
		return nil // it went with the guest
	}
	return rtnl.DelLink(ctx, p.Conn, p.Name)
}

// Unplug removes the interface.
func (unmarked) Unplug(ctx context.Context, p *Port) error { return unplugLink(ctx, p) }

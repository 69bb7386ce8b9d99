package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// recover puts the interface right that the kernel, or a call that was killed, returned
// to the host: the record says what it was.
func (n Phys) recover(ctx context.Context, p *Port) error {
	recorded, err := recordedNICs(nil, func(r *nic) bool { return r.mark().Link == n.String() })
	if err != nil {
		return err
	}
	back, err := locate(ctx, p.Host.Handle, recorded)
	if err != nil {
		return err
	}
	for index, r := range back {
		if err := r.restoreAt(ctx, p.Host, index, p.Warn); err != nil {
			return err
		}
	}
	if len(back) == 0 && p.Force {
		return n.recoverMarked(ctx, p)
	}
	return nil
}

// recoverMarked puts an interface on the host right that nothing but its mark
// speaks for.
func (n Phys) recoverMarked(ctx context.Context, p *Port) error {
	h := p.Host
	links, err := rtnl.Links(ctx, h.Conn)
	for _, l := range links {
		if m, ok := ParseMark(l.Alias); ok && m.Link == n.String() {
			r := &nic{Was: n.pastOf(m, l)}
			return r.restore(ctx, h, l, p.Warn)
		}
	}
	return err
}

// unmark gives an interface that did not move its own alias back. One that did has it since
// it came home, and then there is no record any more.
func (n Phys) unmark(ctx context.Context, p *Port, r *nic) error {
	defer hold(ctx, p.Host.Lock)()
	if !r.moved {
		r.Upper = nil // nobody made anything on it
	} else if kept, err := readNIC(filepath.Base(r.path())); err == nil {
		r = kept
	} else if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	back, err := locate(ctx, p.Host.Handle, []*nic{r})
	for index := range back {
		return r.restoreAt(ctx, p.Host, index, p.Warn)
	}
	return err
}

func (r *nic) restoreAt(ctx context.Context, h Host, index int, warn func(string, ...any)) error {
	l, err := rtnl.LinkByIndex(ctx, h.Conn, index)
	if err != nil {
		return fmt.Errorf("bring back %s: %w", r.Was.Name, err)
	}
	return r.restore(ctx, h, l, warn)
}

// restore makes the link on the host what it was. The record goes last: whoever is
// interrupted leaves it for the next.
func (r *nic) restore(ctx context.Context, h Host, l *rtnl.Link, warn func(string, ...any)) error {
	was := r.Was
	left := r.removeUppers(ctx, h, l) // which keeps nothing else from being done
	steps := []func() error{
		func() error { return rtnl.DelAltNames(ctx, h.Conn, l.Index, without(l.AltNames, was.AltNames)) },
		func() error { return renameTo(ctx, h, l, was.Name) },
		func() error { return restoreAltNames(ctx, h, l, was) },
		func() error { return restoreMAC(ctx, h, l, was) },
		func() error { return rtnl.SetMTU(ctx, h.Conn, l.Index, was.MTU) },
		func() error { return restoreSettings(ctx, h, l, was) },
		func() error { return was.restoreConf(ctx, h, was.Name, warn) },
		func() error { return restoreUp(ctx, h, l, was) },
		func() error { return was.restoreAddrs(ctx, h, l) },
		func() error { return was.restoreRoutes(ctx, h, l, warn) },
		func() error { return left },
		func() error { return rtnl.SetAlias(ctx, h.Conn, l.Index, was.Alias) },
		func() error { return r.remove(ctx) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("bring back %s: %w", was.Name, err)
		}
	}
	return nil
}

// without is what is in all and not in some.
func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}

func renameTo(ctx context.Context, h Host, l *rtnl.Link, name string) error {
	if l.Name == name {
		return nil
	}
	if l.Up {
		if err := rtnl.SetDown(ctx, h.Conn, l.Index); err != nil {
			return err
		}
		l.Up = false
	}
	err := rtnl.Rename(ctx, h.Conn, l.Index, name)
	if err == nil {
		l.Name = name
	}
	if errors.Is(err, unix.EEXIST) {
		return errs.New(fs.ErrExist, "it is %s now, because another interface has taken the name %s", charset.Shown(l.Name), name)
	}
	return err
}

// restoreAltNames leaves a name to whoever has it by now.
func restoreAltNames(ctx context.Context, h Host, l *rtnl.Link, was past) error {
	for _, name := range without(was.AltNames, l.AltNames) {
		if err := rtnl.AddAltNames(ctx, h.Conn, l.Index, []string{name}); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	return nil
}

func restoreMAC(ctx context.Context, h Host, l *rtnl.Link, was past) error {
	if len(was.MAC) == 0 || l.MAC.String() == was.MAC.String() {
		return nil
	}
	return rtnl.SetMAC(ctx, h.Conn, l.Index, was.MAC)
}

func restoreSettings(ctx context.Context, h Host, l *rtnl.Link, was past) error {
	if was.Settings == nil {
		return nil
	}
	return rtnl.SetSettings(ctx, h.Conn, l, *was.Settings)
}

func restoreUp(ctx context.Context, h Host, l *rtnl.Link, was past) error {
	if was.Up {
		return rtnl.SetLink(ctx, h.Conn, was.Name, "")
	}
	if l.Up {
		return rtnl.SetDown(ctx, h.Conn, l.Index)
	}
	return nil
}

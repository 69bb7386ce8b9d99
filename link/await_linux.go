package link

import (
	"context"
	"errors"
	"io/fs"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// Await returns once the interface called name, which need not be there yet, is
// as ready as want, however long that takes: it is told by the kernel, and does
// not poll. h is the namespace to look in; nil stands for the calling thread's,
// such as that of the container that the program runs in, and needs no privilege.
// When ctx ends first, the error satisfies what ended it, such as
// [context.DeadlineExceeded], and says what was still missing.
func Await(ctx context.Context, h *ns.Handle, name string, want State) error {
	if err := ValidName(name); err != nil {
		return errs.New(fs.ErrInvalid, "%w", err)
	}
	w := waiter{name: name, want: want}
	open := func() (err error) {
		if w.monitor, err = rtnl.NewMonitor(); err != nil { // before the first look: nothing is missed
			return err
		}
		if w.conn, err = ns.Dial(ctx); err != nil {
			_ = w.monitor.Close()
		}
		return err
	}
	var err error
	if h == nil {
		err = open()
	} else {
		err = h.Do(ctx, open)
	}
	if err != nil {
		return err
	}
	defer func() {
		_ = w.monitor.Close()
		_ = w.conn.Close()
	}()
	return w.wait(ctx)
}

// A waiter waits for one interface.
type waiter struct {
	name    string
	want    State
	monitor *rtnl.Monitor
	conn    *ns.Conn
}

func (w *waiter) wait(ctx context.Context) error {
	for {
		missing, err := w.missing(ctx)
		if err != nil || missing == "" {
			return err
		}
		err = w.monitor.Next(ctx)
		if ctx.Err() != nil {
			return errs.New(context.Cause(ctx), "gave up waiting for %s: %s", w.name, missing)
		}
		if err != nil {
			return err
		}
	}
}

// missing says what the interface still lacks; "" when it is ready.
func (w *waiter) missing(ctx context.Context) (string, error) {
	l, err := rtnl.LinkByName(ctx, w.conn, w.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such interface", nil
	case err != nil:
		return "", err
	case !l.Up:
		return "it is down", nil
	case !l.Running:
		return "it has no carrier", nil
	case w.want == Running:
		return "", nil
	}
	addrs, err := rtnl.Addrs(ctx, w.conn, l.Index)
	return unaddressed(addrs), err
}

// unaddressed says why an interface with these addresses cannot be used yet.
func unaddressed(addrs []rtnl.Addr) string {
	usable, missing := false, "it has no address"
	for _, a := range addrs {
		switch {
		case a.Prefix.Addr().IsLinkLocalUnicast():
		case a.Duplicate():
			missing = "another node has its address " + a.Prefix.String()
		case !a.Usable():
			return "its address " + a.Prefix.String() + " is still checked for duplicates"
		default:
			usable = true
		}
	}
	if usable {
		return ""
	}
	return missing
}

package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/finish"
)

// leaseTime bounds the wait for the first address.
const leaseTime = 30 * time.Second

// A Running is a program that keeps a lease.
type Running struct {
	*process
	client *Client
	said   *tail
	file   *pidFile
	guest  *guest

	attacher *pipework.Attacher
	spec     pipework.Spec
	addrs    []netip.Prefix // the last ones that were announced
}

func (c *Client) attach(ctx context.Context, a *pipework.Attacher, t pipework.Target, s pipework.Spec) (*pipework.Attachment, *Running, error) {
	path, err := c.find()
	if err != nil {
		return nil, nil, err
	}
	s.Add = s.Add && c.Resume // the program flushes what another Spec gave the interface
	at, err := a.Attach(ctx, t, s)
	if err != nil {
		return nil, nil, err
	}
	s.Name, s.Last = at.Name, false
	var r *Running
	if err = awaitForwarding(ctx, a, t, s.Link, at); err == nil {
		r, err = c.run(ctx, t, at, path)
	}
	var now *pipework.Attachment
	if err == nil {
		r.attacher, r.spec = a, s
		now, err = r.configured(ctx)
	}
	if err != nil && len(at.Warnings) > 0 { // which may be why
		err = fmt.Errorf("%w (%s)", err, strings.Join(at.Warnings, "; "))
	}
	if err == nil {
		now.Existed, now.Mended = at.Existed, at.Mended // before this call, not this moment
		now.Warnings = append(now.Warnings, slices.DeleteFunc(at.Warnings, func(w string) bool { return slices.Contains(now.Warnings, w) })...)
	}
	if err == nil && c.Stay {
		return now, r, nil
	}
	if r != nil {
		r.close()
	}
	if err != nil && !at.Existed {
		late, end := finish.Context(ctx)
		defer end()
		_, undone := a.Detach(late, t, s)
		err = join(err, undone)
	}
	return now, nil, err
}

// join keeps a lone error as it is, on one line.
func join(err, undone error) error {
	if undone == nil {
		return err
	}
	return fmt.Errorf("%w; and then %w", err, undone)
}

// run starts the program for the interface of at.
func (c *Client) run(ctx context.Context, t pipework.Target, at *pipework.Attachment, path string) (*Running, error) {
	g, err := openGuest(ctx, t)
	if err != nil {
		return nil, err
	}
	r := &Running{client: c, said: &tail{}, guest: g}
	if r.file, err = createPidFile(g.Guest, c.Name, at); err != nil {
		r.close()
		return nil, err
	}
	p := purpose{ifname: at.Name, mac: net.HardwareAddr(at.MAC), stay: c.Stay}
	if (&dhcp.Config{Hostname: g.Name}).Validate() == nil {
		p.host = g.Name
	}
	cmd := exec.Command(path, slices.Concat(arguments[c.Name](p), c.Options)...)
	cmd.Args[0] = c.Name
	cmd.Stdout = io.Writer(r.said)
	if c.Output != nil {
		cmd.Stdout = io.MultiWriter(r.said, c.Output)
	}
	cmd.Stderr = cmd.Stdout
	if r.process, err = start(g.Handle, p.host, cmd); err != nil {
		r.close()
		return nil, err
	}
	if err := r.file.write(cmd.Process.Pid); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// configured waits until the program has given the interface an address, and, if
// it is not to stay, has ended; then announces the address.
func (r *Running) configured(ctx context.Context) (at *pipework.Attachment, err error) {
	late := time.NewTimer(leaseTime)
	defer late.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-r.ended:
			if at, err = r.look(ctx); err == nil && (r.err != nil || r.client.Stay || !hasAddress(at)) {
				err = r.client.ended(r.err, r.said.String())
			}
		case <-r.guest.dead:
			err = r.guest.Alive()
		case <-ctx.Done():
			err = fmt.Errorf("%s: %w", r.client.Name, context.Cause(ctx))
		case <-late.C:
			if at, err = r.look(ctx); err == nil && r.client.Stay && hasAddress(at) {
				break // its script runs still: it does something else by now
			}
			err = errs.New(os.ErrDeadlineExceeded, "%s: no address within %v: %s", r.client.Name, leaseTime, gist(r.said.String()))
		case <-look.C:
			if !r.client.Stay {
				continue
			}
			if at, err = r.look(ctx); err == nil && !(hasAddress(at) && r.atRest(ctx, at)) {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		return r.announce(ctx)
	}
}

// look reads what the interface is, and does not look for other hosts with its address: that
// is done when it is announced.
func (r *Running) look(ctx context.Context) (*pipework.Attachment, error) {
	a := *r.attacher
	a.Probe = 0
	return a.Check(ctx, r.guest.Again(), r.spec)
}

// atRest says whether what was read of the interface is final: the program's script
// has ended since, and left it so. An address is not set in one step: ifconfig first
// gives it the length of its class, and then the right one.
func (r *Running) atRest(ctx context.Context, was *pipework.Attachment) bool {
	if r.scripting() {
		return false
	}
	now, err := r.look(ctx)
	return err == nil && slices.Equal(now.Addrs, was.Addrs)
}

// announce has Attach find the interface as it should be, and announce its
// addresses.
func (r *Running) announce(ctx context.Context) (*pipework.Attachment, error) {
	at, err := r.attacher.Attach(ctx, r.guest.Again(), r.spec)
	if err == nil {
		r.addrs = at.Addrs
	}
	return at, err
}

// hasAddress says whether the interface has an IPv4 address that the Spec does not
// name: then it is the program's. The Spec names none.
func hasAddress(at *pipework.Attachment) bool {
	return slices.ContainsFunc(at.Addrs, func(p netip.Prefix) bool { return p.Addr().Is4() })
}

// lookAgain is how often Wait looks at the interface.
const lookAgain = time.Second

// Wait waits until ctx ends, the guest or its interface is no more, or [End] is
// called, which all are no errors, and then ends the program; an address that the
// program changes meanwhile it announces. Where it is still there, the interface
// stays as the program leaves it.
func (r *Running) Wait(ctx context.Context) error {
	defer r.close()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.guest.dead:
			return nil
		case <-r.ended:
			_, err := r.look(ctx)
			if r.file.there() && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
				return fmt.Errorf("%w; the address is not renewed any more", r.client.ended(r.err, r.said.String()))
			}
			return nil
		case <-tick.C:
			at, err := r.look(ctx)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && !slices.Equal(at.Addrs, r.addrs) && hasAddress(at) && r.atRest(ctx, at) {
				_, _ = r.announce(ctx) // or at the next tick
			}
		}
	}
}

// close ends what there is of r.
func (r *Running) close() {
	if r == nil {
		return
	}
	if r.process != nil {
		r.stop()
	}
	if r.file != nil {
		r.file.remove()
	}
	r.guest.close()
}

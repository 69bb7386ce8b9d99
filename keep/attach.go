package keep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/dhcp/program"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Attach is [pipework.Attach] by what is declared, with a record: of the intent before
// the first change, and of the result. What a killed call left of this interface is
// taken away first, or, of what it was adding, made whole. After an error the record is
// what it was. Where the record cannot be written nothing is plugged in, or added. Where d declares
// gateways, or a lease, that is the last word on the guest's default route: see Last in [pipework.Spec].
//
// Where d asks the lease to be kept (Stay, or Program.Stay), keep does so until its
// context ends or the guest does, neither of which is an error; else it is nil. Where
// no server grants one, or only one in use, and d has a Retry, nothing is plugged in between two attempts, nor
// recorded: others may use the interface's name.
func (p *Plugger) Attach(ctx context.Context, guest ns.Ref, d Declared) (at *pipework.Attachment, keep func(context.Context) error, err error) {
	d.Spec.Name, d.Spec.Link = cmp.Or(d.Spec.Name, pipework.DefaultName), link.ByValue(d.Spec.Link)
	d = d.bound(p.OVS)
	at, keep, err = p.attach(ctx, guest, d)
	for wait := d.again(err); wait > 0; wait = d.again(err) {
		say(p, "%v: again in %v", err, wait)
		if pause.For(ctx, wait) != nil {
			return nil, nil, err
		}
		at, keep, err = p.attach(ctx, guest, d)
	}
	return at, keep, err
}

// again is how long to wait before a server is asked again, where an attempt ended so; 0: it is
// not. After an address that was in use it is dhcp.DeclineWait at least.
func (d *Declared) again(err error) time.Duration {
	switch {
	case d.Retry > 0 && errors.Is(err, dhcp.ErrInUse):
		return max(d.Retry, dhcp.DeclineWait)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return d.Retry
	}
	return 0
}

// attach attaches once, with the record's lock.
func (p *Plugger) attach(ctx context.Context, guest ns.Ref, d Declared) (at *pipework.Attachment, keep func(context.Context) error, err error) {
	t, name := p.Target(guest), d.Spec.Name
	if p.Store == nil {
		return p.plugIn(ctx, t, d)
	}
	unlock, err := p.Store.Lock(ctx, guest, name)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	r := Record{Guest: guest, Interface: name, Source: cmp.Or(d.Source, FromCommand), Phase: Intent}
	r.declare(d)
	if r.Before, err = (recovery{p}).record(ctx, guest, name); err != nil {
		return nil, nil, err
	}
	if err := r.Before.sameKind(d); err != nil {
		return nil, nil, &pipework.Error{Op: "attach", Stage: pipework.StageLink, Interface: name, Err: err}
	}
	was, there, err := there(ctx, p.observer(), t, name)
	if err != nil {
		return nil, nil, err
	}
	d.ofOneCall(r.Before)
	r.mending = d.mending
	ahead, written := r, !there
	if there { // nothing is going to be made, but added, mended or refused
		ahead, written = r.addition(was)
	}
	if written {
		if err := p.Store.Put(ahead); err != nil {
			return nil, nil, err
		}
	}
	var stuck error
	if !there {
		stuck = p.detachFormer(ctx, r.Before)
	}
	at, keep, err = p.plugAhead(ctx, t, d, ahead)
	if err != nil {
		err = together(err, stuck)
		if written {
			err = together(err, p.Store.restore(&r))
		}
		return nil, nil, err
	}
	if stuck != nil {
		at.Warnings = append(at.Warnings, stuck.Error())
	}
	switch err = p.attached(r, at); {
	case err != nil && there: // what is declared is written already
		at.Warnings = append(at.Warnings, fmt.Sprintf("the record stays as it was before the last step: %v: see pipework check", err))
	case err != nil:
		late, end := finish.Context(ctx)
		defer end()
		return nil, nil, together(err, together(recovery{p}.unplug(late, &r), p.Store.restore(&r)))
	}
	at.Warnings = append(at.Warnings, follow(ctx, p)...)
	return at, keep, nil
}

// ofOneCall fills in what Attach says beside what is declared: it is the last word on the
// default route, unless it only mends.
func (d *Declared) ofOneCall(before *Record) {
	d.Spec.Last = !d.mending
	if before != nil {
		d.Spec.Saved = before.Saved
	}
}

// detachFormer takes away what the record's guest had where it is not any more.
func (p *Plugger) detachFormer(ctx context.Context, r *Record) error {
	if r == nil || r.Attachment == nil || r.Namespace == nil {
		return nil
	}
	now := p.guests().observe(ctx, r.Guest)
	if !now.runs() {
		return nil // which whoever attaches will tell
	}
	_, err := p.former(r, now.inode).detach(ctx)
	return err
}

// plugIn attaches, with the address that d asks for.
func (p *Plugger) plugIn(ctx context.Context, t pipework.Target, d Declared) (*pipework.Attachment, func(context.Context) error, error) {
	at, keep, err := p.plugAs(ctx, t, d)
	if err == nil {
		d.warn(at)
	}
	return at, keep, err
}

// warn warns of what d says in vain.
func (d *Declared) warn(at *pipework.Attachment) {
	if d.ignored != "" {
		at.Warnings = append(at.Warnings, d.ignored)
	}
	if name := d.hostName(); name != "" && at.HostName != "" && name != at.HostName {
		at.Warnings = append(at.Warnings, fmt.Sprintf("the host's end is called %s already: -l %s renames nothing", at.HostName, name))
	}
}

func (p *Plugger) plugAs(ctx context.Context, t pipework.Target, d Declared) (at *pipework.Attachment, keep func(context.Context) error, err error) {
	if asked := d.Program; asked != nil {
		client := program.Client{Name: asked.Name, Stay: asked.Stay, Options: asked.Options}
		if asked.Stay || p.Log != nil && p.Log.Enabled(ctx, slog.LevelDebug) {
			client.Output = p.Output
		}
		at, running, err := client.Attach(ctx, p.attacher(), t, d.Spec)
		if err == nil && running != nil {
			keep = running.Wait
		}
		return at, keep, err
	}
	at, err = p.attacher().Attach(ctx, t, d.Spec)
	if err != nil || !d.Stay {
		return at, nil, err
	}
	return at, keeperOf(p, t, d.Spec, at), nil
}

// keeperOf keeps the lease of what is attached so.
func keeperOf(p *Plugger, t pipework.Target, s pipework.Spec, at *pipework.Attachment) func(context.Context) error {
	return func(ctx context.Context) error { return keepLease(ctx, p, t, s, at) }
}

// say prints a line.
func say(p *Plugger, format string, args ...any) {
	if p.Output != nil {
		_, _ = io.WriteString(p.Output, "pipework: "+fmt.Sprintf(format, args...)+"\n")
	}
}

// there says whether the guest has an interface of this name, whosever it is, that
// is to stay; at is nil for somebody else's.
func there(ctx context.Context, a *pipework.Attacher, t pipework.Target, name string) (at *pipework.Attachment, is bool, _ error) {
	at, err := a.Check(ctx, t, pipework.Spec{Name: name})
	halfMade := err == nil && at.Link == link.Unmarked
	return at, !halfMade && !stage.NoInterface(err) && !stage.NoGuest(err), context.Cause(ctx)
}

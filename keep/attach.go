package keep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/dhcp/program"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Attach is [pipework.Attach] by what is declared, with a record: of the intent before
// the first change, and of the result. What a killed call left of this interface is
// taken away first. After an error the record is what it was. Where the record cannot be
// written nothing is plugged in.
//
// Where d asks the lease to be kept (Stay, or Program.Stay), keep does so until its
// context ends or the guest does, neither of which is an error; else it is nil. Where
// nobody grants one, and d asks again, nothing is plugged in meanwhile, nor recorded: the
// interface is anybody's.
func (p *Plugger) Attach(ctx context.Context, guest ns.Ref, d Declared) (at *pipework.Attachment, keep func(context.Context) error, err error) {
	d.Spec.Name, d.Spec.Link = cmp.Or(d.Spec.Name, pipework.DefaultName), link.ByValue(d.Spec.Link)
	d = d.bound(p.OVS)
	at, keep, err = p.attach(ctx, guest, d)
	for d.Again > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		p.say("%v: again in %v", err, d.Again)
		if pause.For(ctx, d.Again) != nil {
			return nil, nil, err
		}
		at, keep, err = p.attach(ctx, guest, d)
	}
	return at, keep, err
}

// attach asks once, with the record's lock.
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
	r := Record{Guest: guest, Interface: name, Source: FromCommand, Phase: Intent}
	r.declare(d)
	if r.Before, err = p.recovered(ctx, guest, name); err != nil {
		return nil, nil, err
	}
	if err := r.Before.sameKind(d); err != nil {
		return nil, nil, &pipework.Error{Op: "attach", Stage: "link", Interface: name, Err: err}
	}
	there, err := p.there(ctx, t, name)
	if err != nil {
		return nil, nil, err
	}
	if !there { // else nothing is going to be made, but mended or refused
		if err := p.Store.Put(r); err != nil {
			return nil, nil, err
		}
	}
	at, keep, err = p.plugIn(ctx, t, d)
	if err != nil {
		return nil, nil, together(err, p.restore(&r))
	}
	err = p.attached(r, at)
	if err != nil && !there {
		err = together(err, together(p.unplug(context.WithoutCancel(ctx), &r), p.restore(&r)))
	}
	if err != nil {
		return nil, nil, err
	}
	return at, keep, nil
}

// plugIn attaches, with the address that d asks for.
func (p *Plugger) plugIn(ctx context.Context, t pipework.Target, d Declared) (*pipework.Attachment, func(context.Context) error, error) {
	at, keep, err := p.plugAs(ctx, t, d)
	if name := d.hostName(); err == nil && name != "" && name != at.HostName {
		at.Warnings = append(at.Warnings, fmt.Sprintf("the host's end is called %s already: -l %s renames nothing", at.HostName, name))
	}
	return at, keep, err
}

func (p *Plugger) plugAs(ctx context.Context, t pipework.Target, d Declared) (at *pipework.Attachment, keep func(context.Context) error, err error) {
	if asked := d.Program; asked != nil {
		client := program.Client{Name: asked.Name, Stay: asked.Stay, Options: asked.Options}
		if asked.Stay || p.Log != nil {
			client.Output = p.Output
		}
		at, running, err := client.Attach(ctx, &p.Attacher, t, d.Spec)
		if err == nil && running != nil {
			keep = running.Wait
		}
		return at, keep, err
	}
	at, err = p.Attacher.Attach(ctx, t, d.Spec)
	if err != nil || !d.Stay {
		return at, nil, err
	}
	return at, func(ctx context.Context) error { return p.keepLease(ctx, t, d.Spec, at) }, nil
}

// pullOut ends the program that keeps the interface's lease, where one does, and
// detaches.
func (p *Plugger) pullOut(ctx context.Context, t pipework.Target, s pipework.Spec) error {
	if err := program.End(ctx, t, s.Name); err != nil {
		return err
	}
	return p.Attacher.Detach(ctx, t, s)
}

// lookAgain is how often keepLease looks whether the interface is still there.
const lookAgain = 2 * time.Second

// keepLease tells of each event, until ctx ends or the interface is gone. The lease
// stays in force when it returns.
func (p *Plugger) keepLease(ctx context.Context, t pipework.Target, s pipework.Spec, at *pipework.Attachment) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kept := p.KeptAll(t, s, at)
	for i := range kept {
		kept[i].Event = func(e dhcp.Event) {
			text := e.Reason
			if text == "" && e.Lease != nil {
				text = fmt.Sprintf("%s until %s", e.Lease.Addr, e.Lease.Expires.Format(time.DateTime))
			}
			p.say("%s: lease %s: %s", e.Interface, e.Kind, text)
		}
	}
	go func() {
		for pause.For(ctx, lookAgain) == nil {
			if _, err := p.Check(ctx, t, pipework.Spec{Name: at.Name}); errors.Is(err, fs.ErrNotExist) {
				cancel()
			}
		}
	}()
	if err := dhcp.KeepAll(ctx, kept...); ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// say prints a line.
func (p *Plugger) say(format string, args ...any) {
	if p.Output != nil {
		_, _ = io.WriteString(p.Output, "pipework: "+fmt.Sprintf(format, args...)+"\n")
	}
}

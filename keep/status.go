package keep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A Status compares one record with what is.
type Status struct {
	Guest     ns.Ref `json:"guest"`
	Interface string `json:"interface"`
	// Spec and Program are what is declared.
	Spec    pipework.Spec `json:"spec"`
	Program *Program      `json:"program,omitempty"`
	Source  Source        `json:"source"`
	State   State         `json:"state"`
	// Details are what drifted, or why there is no guest, one line each.
	Details []string `json:"details,omitempty"`
	// Attachment is what is plugged in; nil: nothing.
	Attachment *pipework.Attachment `json:"attachment,omitempty"`
}

// A State is how what is compares with what was declared.
type State string

// The states.
const (
	AsDeclared State = "ok"
	Drifted    State = "drifted"    // plugged in, but not as declared
	Missing    State = "missing"    // the guest runs without it
	Absent     State = "absent"     // there is no such guest, or it does not run
	Unfinished State = "unfinished" // a call was killed, or is at work just now
)

// OK says that nothing has to be done: all is as declared, or there is no guest
// that it could be done to.
func (f Status) OK() bool { return f.State == AsDeclared || f.State == Absent }

// String is f in one line for people: "netns:web: eth1 drifted: address 10.0.0.2/24 is gone".
func (f Status) String() string {
	text := fmt.Sprintf("%s: %s %s", f.Guest, f.Interface, f.State)
	if len(f.Details) > 0 {
		text += ": " + strings.Join(f.Details, "; ")
	}
	if f.Attachment != nil && len(f.Attachment.Warnings) > 0 {
		text += "; warning: " + strings.Join(f.Attachment.Warnings, "; ")
	}
	return text
}

// Status compares every record with what is, or those of these guests. It
// changes nothing. Damaged records, and those of links that the Store was not opened for, stay
// where they are, and are told in the error, beside what was found. A guest without a record is an error that satisfies
// fs.ErrNotExist.
func (p *Plugger) Status(ctx context.Context, guests ...ns.Ref) ([]Status, error) {
	var all []Record
	var damaged []error
	if p.Store != nil {
		var err error
		if all, damaged, err = p.Store.peek(); err != nil {
			return nil, err
		}
	}
	asked := map[key]bool{}
	for _, g := range guests {
		of := p.guests().declaredFor(ctx, all, g)
		if err := context.Cause(ctx); err != nil { // who was looked for in vain may be there
			return nil, err
		}
		if len(of) == 0 {
			return nil, errs.Join(append(damaged, errs.New(fs.ErrNotExist, "nothing is declared for %s: see pipework check", g))...)
		}
		for _, r := range of {
			asked[r.key()] = true
		}
	}
	found := []Status{}
	for _, r := range all {
		if len(guests) > 0 && !asked[r.key()] {
			continue
		}
		f := p.compare(ctx, &r)
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		found = append(found, f)
	}
	return found, errs.Join(damaged...)
}

// compare compares one record with what is.
func (p *Plugger) compare(ctx context.Context, r *Record) Status {
	at, err := p.inspect(ctx, p.Target(r.Guest), r)
	if stage.NoGuest(err) {
		if now, ok := p.guests().renamed(ctx, r); ok {
			at, err = p.inspect(ctx, p.Target(now), r)
		}
	}
	return statusOf(r, at, err)
}

// statusOf is the Status of a record where inspect returned this.
func statusOf(r *Record, at *pipework.Attachment, err error) Status {
	f := Status{Guest: r.Guest, Interface: r.Interface, Spec: r.Spec, Program: r.Program, Source: r.Source, Attachment: at}
	if f.Attachment != nil {
		f.Details = f.Attachment.Drifts
	}
	switch {
	case stage.NoGuest(err):
		f.State, f.Details = Absent, []string{reason(err)}
	case r.Phase != Attached:
		f.State, f.Details = Unfinished, append([]string{unfinished(r)}, f.Details...)
	case stage.NoInterface(err):
		f.State = Missing
	case err != nil:
		f.State, f.Details = Drifted, append([]string{reason(err)}, f.Details...)
	case len(f.Details) > 0:
		f.State = Drifted
	default:
		f.State = AsDeclared
	}
	return f
}

// unfinished says what a record that is not Attached is of, and what to do.
func unfinished(r *Record) string {
	if r.Phase == Detaching {
		return fmt.Sprintf("it was being detached by a call that is at work, or was killed: type pipework detach %s -i %s, or pipework gc", r.Guest, r.Interface)
	}
	if r.isAddition() {
		return "it was being added to by a call that is at work, or was killed: type it again, or pipework gc"
	}
	return "it was being plugged in by a call that is at work, or was killed: type it again, or pipework gc"
}

// inspect is [pipework.Check] of the guest by the record's Spec. Where its host
// interface is gone, or is of another kind now, it is at least by the name.
func (p *Plugger) inspect(ctx context.Context, t pipework.Target, r *Record) (*pipework.Attachment, error) {
	d, err := p.Resolve(ctx, r)
	var at *pipework.Attachment
	if err == nil {
		at, err = p.attacher().Check(ctx, t, d.Spec)
	}
	if err == nil || stage.NoGuest(err) || stage.NoInterface(err) {
		return at, err
	}
	at, bare := p.Check(ctx, t, pipework.Spec{Name: r.Interface})
	if stage.NoGuest(bare) || stage.NoInterface(bare) {
		return nil, bare
	}
	return at, err
}

// Resolve is what the record declares, with the name that the host's interface has now.
// An error that satisfies fs.ErrNotExist says that the host has no such interface.
func (p *Plugger) Resolve(ctx context.Context, r *Record) (Declared, error) {
	if r.line != nil {
		d, err := p.Declared(ctx, *r.line)
		if err == nil {
			err = r.sameKind(d)
		}
		return d, err
	}
	d := r.Declared().bound(p.OVS)
	if d.HostMAC != nil {
		found, err := p.Detect(ctx, "mac:"+d.HostMAC.String(), p.OVS.Lookup)
		_, moved := d.Spec.Link.(link.Phys)
		if err != nil && !(moved && errors.Is(err, fs.ErrNotExist)) { // a NIC may be in a guest
			return d, err
		}
		if name, is := hostInterface(found); is {
			d.Spec.Link, _ = onto(d.Spec.Link, name)
		}
	}
	return d, p.confirm(ctx, r, d)
}

// reason is err without saying again what was done to which interface.
func reason(err error) string {
	if e, ok := errors.AsType[*pipework.Error](err); ok {
		err = e.Err
	}
	return fmt.Sprint(err)
}

package keep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A Finding compares one record with what is.
type Finding struct {
	Guest     ns.Ref   `json:"guest"`
	Interface string   `json:"interface"`
	Line      []string `json:"line"`
	Source    Source   `json:"source"`
	State     State    `json:"state"`
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
func (f *Finding) OK() bool { return f.State == AsDeclared || f.State == Absent }

// String is the Finding on one line, for people.
func (f *Finding) String() string {
	text := fmt.Sprintf("%s: %s %s", f.Guest, f.Interface, f.State)
	if len(f.Details) > 0 {
		text += ": " + strings.Join(f.Details, "; ")
	}
	return text
}

// Findings compares every record with what is, or those of these guests. It
// changes nothing. Damaged records are set aside, and told in the error, beside
// what was found. A guest without a record is an error that satisfies
// fs.ErrNotExist.
func (p *Plugger) Findings(ctx context.Context, guests ...ns.Ref) ([]Finding, error) {
	var all []Record
	var damaged []error
	if p.Store != nil {
		var err error
		if all, damaged, err = p.Store.All(); err != nil {
			return nil, err
		}
	}
	asked := map[key]bool{}
	for _, g := range guests {
		of := p.declaredFor(ctx, all, g)
		if len(of) == 0 {
			return nil, errors.Join(append(damaged, errs.New(fs.ErrNotExist, "nothing is declared for %s: see pipework check", g))...)
		}
		for _, r := range of {
			asked[r.key()] = true
		}
	}
	found := []Finding{}
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
	return found, errors.Join(damaged...)
}

// declaredFor are the records of the guest; where it has none, those under other Refs
// of the same guest.
func (p *Plugger) declaredFor(ctx context.Context, all []Record, ref ns.Ref) []Record {
	full, known := p.Store.fullRef(ref)
	of := slices.DeleteFunc(slices.Clone(all), func(r Record) bool {
		return !r.Guest.Same(ref) && !(known && r.Guest.Same(full))
	})
	if len(of) > 0 {
		return of
	}
	return p.of(ctx, p.being(ctx, ref), all, func(*Record) bool { return true })
}

// Report is the Findings for people, one on a line.
func Report(found []Finding) string {
	if len(found) == 0 {
		return "nothing is declared\n"
	}
	var b strings.Builder
	for i := range found {
		fmt.Fprintln(&b, &found[i])
	}
	return b.String()
}

// Verdict is nil where every Finding is OK, and else says how many are not.
func Verdict(found []Finding) error {
	wrong := 0
	for _, f := range found {
		if !f.OK() {
			wrong++
		}
	}
	if wrong == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d attachments are not as declared", wrong, len(found))
}

// compare compares one record with what is.
func (p *Plugger) compare(ctx context.Context, r *Record) Finding {
	f := Finding{Guest: r.Guest, Interface: r.Interface, Line: r.Line, Source: r.Source}
	var err error
	f.Attachment, err = p.inspect(ctx, p.Target(r.Guest), r)
	if noGuest(err) {
		if now, ok := p.renamed(ctx, r); ok {
			f.Attachment, err = p.inspect(ctx, p.Target(now), r)
		}
	}
	if f.Attachment != nil {
		f.Details = f.Attachment.Drifts
	}
	switch {
	case noGuest(err):
		f.State, f.Details = Absent, []string{reason(err)}
	case r.Phase != Attached:
		f.State, f.Details = Unfinished, append([]string{unfinished[r.Phase]}, f.Details...)
	case noInterface(err):
		f.State = Missing
	case err != nil:
		f.State, f.Details = Drifted, []string{reason(err)}
	case len(f.Details) > 0:
		f.State = Drifted
	default:
		f.State = AsDeclared
	}
	return f
}

var unfinished = map[Phase]string{
	Intent:    "it was being plugged in by a call that is at work, or was killed: type it again, or pipework gc",
	Detaching: "it was being detached by a call that is at work, or was killed: type that again, or pipework gc",
}

// inspect is [pipework.Check] of the guest by the record's line. Where the line's
// host interface is gone, it is at least by the name.
func (p *Plugger) inspect(ctx context.Context, t pipework.Target, r *Record) (*pipework.Attachment, error) {
	s, err := p.declared(ctx, r)
	if err == nil {
		return p.Check(ctx, t, s)
	}
	at, bare := p.Check(ctx, t, pipework.Spec{Name: r.Interface})
	if noGuest(bare) || noInterface(bare) {
		return nil, bare
	}
	return at, err
}

// declared is the Spec that the record's line means just now.
func (p *Plugger) declared(ctx context.Context, r *Record) (pipework.Spec, error) {
	flags, words, err := config.Split(r.Line)
	if err != nil {
		return pipework.Spec{}, err
	}
	line, err := config.Parse(words)
	if err != nil {
		return pipework.Spec{}, err
	}
	s, err := p.Spec(ctx, line, flags)
	s.Name = r.Interface
	if err == nil {
		err = r.sameKind(line, s.Link)
	}
	return s, err
}

// reason is err without saying again what was done to which interface.
func reason(err error) string {
	if e, ok := errors.AsType[*pipework.Error](err); ok {
		err = e.Err
	}
	return fmt.Sprint(err)
}

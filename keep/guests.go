package keep

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// An observed is the guest that a Ref means just now, as its runtime and the kernel
// tell: the marks inside are the guest's to write.
type observed struct {
	ref   ns.Ref   // with the runtime's ID, where that is known
	inode ns.Inode // of its namespace; zero: it does not run
}

func (o observed) runs() bool { return o.inode != ns.Inode{} }

// guests tells which guest a Ref means, and which records are of it.
type guests struct {
	store    *Store // nil: there are no records
	target   func(ns.Ref) pipework.Target
	attacher *pipework.Attacher
}

func (p *Plugger) guests() guests { return guests{p.Store, p.Target, p.observer()} }

// observe looks up which guest the Ref means.
func (g guests) observe(ctx context.Context, ref ns.Ref) observed {
	o := observed{ref: ref}
	if !ref.Kind.ByFile() { // else it says which namespace is meant, which the name does not
		o.ref.ID = ""
	}
	opened, err := g.target(ref).Open(ctx)
	if err != nil {
		if stopped, ok := errors.AsType[errs.Stopped](err); ok {
			o.ref.ID = stopped.ID
		}
		return o
	}
	defer func() { _ = opened.Close() }()
	o.ref.ID, o.inode = opened.ID, opened.Inode()
	return o
}

// owns says whether the record is of this guest: by its Ref, or, unless another has
// that by now, by the ID that the same runtime gave both.
func (g guests) owns(ctx context.Context, o observed, r *Record) bool {
	if r.Guest.Same(o.ref) {
		return true
	}
	if o.ref.ID == "" || r.Guest.ID != o.ref.ID || r.Guest.Kind != o.ref.Kind {
		return false
	}
	now := g.observe(ctx, r.Guest)
	return now.ref.ID == o.ref.ID || now.ref.ID == "" && !now.runs()
}

// targetOf is the record's guest: by its ID where its name means no guest that runs, or
// another one.
func (g guests) targetOf(ctx context.Context, r *Record) pipework.Target {
	byID, known := r.Guest.ByID()
	if !known {
		return g.target(r.Guest)
	}
	named := g.observe(ctx, r.Guest)
	if named.ref.ID != r.Guest.ID && (named.runs() || g.observe(ctx, byID).runs()) {
		return g.target(byID)
	}
	return g.target(r.Guest)
}

// renamed is the Ref by ID of the record's guest, where that runs and its runtime does
// not know it by the record's name any more.
func (g guests) renamed(ctx context.Context, r *Record) (byID ns.Ref, ok bool) {
	byID, known := r.Guest.ByID()
	if !known || g.observe(ctx, r.Guest).ref.ID != "" || !g.observe(ctx, byID).runs() {
		return ns.Ref{}, false
	}
	return byID, true
}

// renamedGuest is renamed for the guest of some record.
func (g guests) renamedGuest(ctx context.Context, ref ns.Ref) (byID ns.Ref, ok bool) {
	all, _ := g.records() // what is wrong with them comes up soon
	for i := range all {
		if all[i].Guest.Same(ref) {
			if byID, ok = g.renamed(ctx, &all[i]); ok {
				return byID, true
			}
		}
	}
	return ns.Ref{}, false
}

// records are all of them, where any are kept. Whoever works on them hears what is
// wrong with the others.
func (g guests) records() ([]Record, error) {
	if g.store == nil {
		return nil, nil
	}
	return g.store.scan(func(string, error) {})
}

// ranIn says whether the process of the record's guest, as it was at the last Attach, is in the
// namespace. Where it is, no runtime has to be asked.
func (r *Record) ranIn(namespace *ns.Instance) bool {
	if r.Attachment == nil || r.Attachment.Guest.PID == 0 {
		return false
	}
	text, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(r.Attachment.Guest.PID), "ns/net"))
	return err == nil && text == namespace.String()
}

// aliasTime bounds how long other Refs of a guest are looked for.
const aliasTime = 5 * time.Second

// recordsOf are the records of this guest, also those under other Refs that lead into
// the same namespace, as far as maybe says that they are worth a look.
func (g guests) recordsOf(ctx context.Context, o observed, all []Record, maybe func(*Record) bool) []Record {
	ctx, cancel := context.WithTimeout(ctx, aliasTime)
	defer cancel()
	same := map[string]bool{} // by the text of the guest
	return slices.DeleteFunc(slices.Clone(all), func(r Record) bool {
		if g.owns(ctx, o, &r) {
			return false
		}
		if !o.runs() || !maybe(&r) {
			return true
		}
		text := r.Guest.String()
		if _, seen := same[text]; !seen {
			same[text] = g.observe(ctx, r.Guest).inode == o.inode
		}
		return !same[text]
	})
}

// recordsFor are the records of the guest's interface that was asked for as name and is
// plugged in as at, which is nil where it is not.
func (g guests) recordsFor(ctx context.Context, o observed, name string, at *pipework.Attachment) ([]Record, error) {
	all, err := g.records()
	if err != nil {
		return nil, err
	}
	names := []string{name}
	if at != nil {
		names = append(names, at.Name)
	}
	called := func(r *Record) bool { return slices.Contains(names, r.Interface) }
	found := slices.ContainsFunc(all, func(r Record) bool { return called(&r) && g.owns(ctx, o, &r) })
	of := g.recordsOf(ctx, o, all, func(r *Record) bool {
		return at != nil && r.Attachment != nil && r.Attachment.MAC.String() == at.MAC.String() || !found && called(r)
	})
	return slices.DeleteFunc(of, func(r Record) bool { return !called(&r) && !g.became(ctx, o, &r, at) }), nil
}

// became says whether what the record is of is plugged in as at, which somebody in
// the guest has renamed.
func (g guests) became(ctx context.Context, o observed, r *Record, at *pipework.Attachment) bool {
	if at == nil {
		return false
	}
	now, err := g.attacher.Check(ctx, g.target(o.ref), pipework.Spec{Name: r.Interface})
	return err == nil && now.Index == at.Index
}

// declaredFor are the records of the guest; where it has none, those under other Refs
// of the same guest.
func (g guests) declaredFor(ctx context.Context, all []Record, ref ns.Ref) []Record {
	full, known := g.store.fullRef(ref)
	of := slices.DeleteFunc(slices.Clone(all), func(r Record) bool {
		return !r.Guest.Same(ref) && !(known && r.Guest.Same(full))
	})
	if len(of) > 0 {
		return of
	}
	return g.recordsOf(ctx, g.observe(ctx, ref), all, func(*Record) bool { return true })
}

// fullRef is the recorded Ref of a container of containerd that is given without its
// namespace; not ok where there is none, or several.
func (s *Store) fullRef(ref ns.Ref) (full ns.Ref, ok bool) {
	full = s.Guest(ref.Name)
	return full, ref.Kind == ns.Containerd && full.Kind == ns.Containerd && !full.Same(ref)
}

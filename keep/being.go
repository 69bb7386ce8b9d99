package keep

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A being is the guest that a Ref means just now, as its runtime and the kernel
// tell: the marks inside are the guest's to write.
type being struct {
	ref   ns.Ref   // with the runtime's ID, where that is known
	inode ns.Inode // of its namespace; zero: it does not run
}

func (b being) runs() bool { return b.inode != ns.Inode{} }

// being looks up whom the Ref means.
func (p *Plugger) being(ctx context.Context, ref ns.Ref) being {
	b := being{ref: ref.WithID("")}
	g, err := p.Target(ref).Open(ctx)
	if err != nil {
		if stopped, ok := errors.AsType[errs.Stopped](err); ok {
			b.ref.ID = stopped.ID
		}
		return b
	}
	defer func() { _ = g.Close() }()
	b.ref.ID, b.inode = g.ID, g.Inode()
	return b
}

// has says whether the record is of this guest: by its Ref, or, unless another has
// that by now, by the ID that the same runtime gave both.
func (p *Plugger) has(ctx context.Context, b being, r *Record) bool {
	if r.Guest.Same(b.ref) {
		return true
	}
	if b.ref.ID == "" || r.Guest.ID != b.ref.ID || r.Guest.Kind != b.ref.Kind {
		return false
	}
	now := p.being(ctx, r.Guest)
	return now.ref.ID == b.ref.ID || now.ref.ID == "" && !now.runs()
}

// target is the record's guest: by its ID where its name means no guest that runs, or
// another one.
func (p *Plugger) target(ctx context.Context, r *Record) pipework.Target {
	byID, known := r.Guest.ByID()
	if !known {
		return p.Target(r.Guest)
	}
	named := p.being(ctx, r.Guest)
	if named.ref.ID != r.Guest.ID && (named.runs() || p.being(ctx, byID).runs()) {
		return p.Target(byID)
	}
	return p.Target(r.Guest)
}

// renamed is the Ref by ID of the record's guest, where that runs and its runtime does
// not know it by the record's name any more.
func (p *Plugger) renamed(ctx context.Context, r *Record) (byID ns.Ref, ok bool) {
	byID, known := r.Guest.ByID()
	if !known || p.being(ctx, r.Guest).ref.ID != "" || !p.being(ctx, byID).runs() {
		return ns.Ref{}, false
	}
	return byID, true
}

// renamedGuest is renamed for the guest of some record.
func (p *Plugger) renamedGuest(ctx context.Context, ref ns.Ref) (byID ns.Ref, ok bool) {
	all, _ := p.records() // what is wrong with them comes up soon
	for i := range all {
		if all[i].Guest.Same(ref) {
			if byID, ok = p.renamed(ctx, &all[i]); ok {
				return byID, true
			}
		}
	}
	return ns.Ref{}, false
}

// records are all of them, where any are kept. Whoever works on them hears what is
// wrong with the others.
func (p *Plugger) records() ([]Record, error) {
	if p.Store == nil {
		return nil, nil
	}
	all, _, err := p.Store.All()
	return all, err
}

// aliasTime bounds how long other Refs of a guest are looked for.
const aliasTime = 5 * time.Second

// of are the records of this guest, also those under other Refs that lead into
// the same namespace, as far as maybe says that they are worth a look.
func (p *Plugger) of(ctx context.Context, b being, all []Record, maybe func(*Record) bool) []Record {
	ctx, cancel := context.WithTimeout(ctx, aliasTime)
	defer cancel()
	same := map[string]bool{} // by the text of the guest
	return slices.DeleteFunc(slices.Clone(all), func(r Record) bool {
		if p.has(ctx, b, &r) {
			return false
		}
		if !b.runs() || !maybe(&r) {
			return true
		}
		text := r.Guest.String()
		if _, seen := same[text]; !seen {
			same[text] = p.being(ctx, r.Guest).inode == b.inode
		}
		return !same[text]
	})
}

// known are the records of the guest's interface that was asked for as name and is
// plugged in as at, which is nil where it is not.
func (p *Plugger) known(ctx context.Context, b being, name string, at *pipework.Attachment) ([]Record, error) {
	all, err := p.records()
	if err != nil {
		return nil, err
	}
	names := []string{cmp.Or(name, pipework.DefaultName)}
	switch {
	case at != nil && name == "":
		names = []string{at.Name}
	case at != nil:
		names = []string{at.Name, name}
	}
	called := func(r *Record) bool { return slices.Contains(names, r.Interface) }
	found := slices.ContainsFunc(all, func(r Record) bool { return called(&r) && p.has(ctx, b, &r) })
	of := p.of(ctx, b, all, func(r *Record) bool {
		return at != nil && r.Attachment != nil && r.Attachment.MAC.String() == at.MAC.String() || !found && (name == "" || called(r))
	})
	known := slices.DeleteFunc(slices.Clone(of), func(r Record) bool { return !called(&r) && !p.became(ctx, b, &r, at) })
	if len(known) == 0 && at == nil && name == "" && len(of) == 1 {
		known = of
	}
	return known, nil
}

// became says whether what the record is of is plugged in as at, which somebody in
// the guest has renamed.
func (p *Plugger) became(ctx context.Context, b being, r *Record, at *pipework.Attachment) bool {
	if at == nil {
		return false
	}
	now, err := p.Check(ctx, p.Target(b.ref), pipework.Spec{Name: r.Interface})
	return err == nil && now.Index == at.Index
}

// fullRef is the recorded Ref of a container of containerd that is given without its
// namespace; not ok where there is none, or several.
func (s *Store) fullRef(ref ns.Ref) (full ns.Ref, ok bool) {
	full = s.Guest(ref.Name)
	return full, ref.Kind == ns.Containerd && full.Kind == ns.Containerd && !full.Same(ref)
}

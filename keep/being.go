package keep

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A being is the guest that a word means just now, as its runtime and the kernel
// tell: the marks inside are the guest's to write.
type being struct {
	word  string
	id    string   // the runtime's full one; "": it has none, or is not known
	inode ns.Inode // of its namespace; zero: it does not run
}

func (b being) runs() bool { return b.inode != ns.Inode{} }

// being looks up whom the word means.
func (p *Plugger) being(ctx context.Context, word string) being {
	b := being{word: word}
	g, err := p.Target(word).Open(ctx)
	if err != nil {
		if stopped, ok := errors.AsType[errs.Stopped](err); ok {
			b.id = stopped.ID
		}
		return b
	}
	defer func() { _ = g.Close() }()
	b.id, b.inode = g.ID, g.Inode()
	return b
}

// has says whether the record is of this guest: by its word, or, unless another has
// that by now, by the ID that the same runtime gave both.
func (p *Plugger) has(ctx context.Context, b being, r *Record) bool {
	if r.Guest == b.word {
		return true
	}
	if b.id == "" || r.GuestID != b.id || kindOf(r.Guest) != kindOf(b.word) {
		return false
	}
	now := p.being(ctx, r.Guest)
	return now.id == b.id || now.id == "" && !now.runs()
}

// kindOf is what stands before the colon of a word; "": it has none.
func kindOf(word string) string {
	kind, _, given := strings.Cut(word, ":")
	if !given {
		return ""
	}
	return kind
}

// byID is the word for the record's guest that no other can take over; "": nobody
// knows its ID.
func (r *Record) byID() string {
	kind, name, _ := strings.Cut(r.Guest, ":")
	if r.GuestID == "" || name == "" {
		return ""
	}
	if user, _, given := strings.Cut(name, "/"); given && kind == "podman" {
		return kind + ":" + user + "/" + r.GuestID
	}
	return kind + ":" + r.GuestID
}

// target is the record's guest: by its ID where its word means nobody who runs, or
// somebody else.
func (p *Plugger) target(ctx context.Context, r *Record) pipework.Target {
	word := r.byID()
	if word == "" {
		return p.Target(r.Guest)
	}
	named := p.being(ctx, r.Guest)
	if named.id != r.GuestID && (named.runs() || p.being(ctx, word).runs()) {
		return p.Target(word)
	}
	return p.Target(r.Guest)
}

// renamed is the word for the record's guest, where that runs, and its runtime does
// not know it by the record's word any more; else "".
func (p *Plugger) renamed(ctx context.Context, r *Record) string {
	word := r.byID()
	if word == "" || p.being(ctx, r.Guest).id != "" || !p.being(ctx, word).runs() {
		return ""
	}
	return word
}

// renamedGuest is renamed for the guest of some record.
func (p *Plugger) renamedGuest(ctx context.Context, word string) string {
	all, _ := p.records() // what is wrong with them comes up soon
	for i := range all {
		if all[i].Guest == word {
			if now := p.renamed(ctx, &all[i]); now != "" {
				return now
			}
		}
	}
	return ""
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

// aliasTime bounds how long other words for a guest are looked for.
const aliasTime = 5 * time.Second

// of are the records of this guest, also those under other words that lead into
// the same namespace, as far as maybe says that they are worth a look.
func (p *Plugger) of(ctx context.Context, b being, all []Record, maybe func(*Record) bool) []Record {
	ctx, cancel := context.WithTimeout(ctx, aliasTime)
	defer cancel()
	same := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(all), func(r Record) bool {
		if p.has(ctx, b, &r) {
			return false
		}
		if !b.runs() || !maybe(&r) {
			return true
		}
		if _, seen := same[r.Guest]; !seen {
			same[r.Guest] = p.being(ctx, r.Guest).inode == b.inode
		}
		return !same[r.Guest]
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
	now, err := p.Check(ctx, p.Target(b.word), pipework.Spec{Name: r.Interface})
	return err == nil && now.Index == at.Index
}

// spelt is the word of the records for a container of containerd that is given
// without its namespace; "": there is none, or several.
func (s *Store) spelt(word string) string {
	name, is := strings.CutPrefix(word, "containerd:")
	if full := s.Guest(name); is && full != word && kindOf(full) == "containerd" {
		return full
	}
	return ""
}

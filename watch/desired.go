package watch

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// A desired is one interface that a guest is to have.
type desired struct {
	from        string       // for people: "command line", "label pipework.eth1"
	text        string       // tells whether it has changed
	byContainer bool         // it is declared by the container itself, whom not everything is permitted
	who         config.Who   // that is
	word        string       // the interface of the host, as the container calls it
	resolve     resolver     // what is declared, as the host has it now
	record      *keep.Record // of the command line, or the one to be written
	mendOnly    bool         // it may be mended, but not plugged in again
}

// since is when its default routes were declared: those of a container's own declarations at
// its start, before all that is typed. The latest are to hold.
func (d *desired) since() time.Time {
	if d.byContainer {
		return time.Time{}
	}
	return cmp.Or(d.record.Since, d.record.Changed)
}

// above are the guest's other interfaces that were declared later.
func (d *desired) above(all map[string]*desired) (names []string) {
	for name, o := range all {
		if cmp.Or(o.since().Compare(d.since()), strings.Compare(name, d.record.Interface)) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// A resolver finds what is declared by means of a Plugger whose Target is the guest.
type resolver func(context.Context, *keep.Plugger) (keep.Declared, error)

// A declaration is what one guest is to have.
type declaration struct {
	name    string // of the guest, for people
	desired map[string]*desired
	refused []config.Declaration // which cannot be read, or are not permitted
}

// declarations reads what guests are to have.
type declarations struct {
	records *records
	sources []ns.Source
	config  config.Declarations
}

// of is what the guest is to have, by the interface's name. A guest that its source
// does not know any more is fs.ErrNotExist.
func (d *declarations) of(ctx context.Context, k ref) (*declaration, error) {
	recorded, err := d.records.current(ctx)
	if err != nil {
		return nil, err
	}
	if k.source == nil {
		all := &declaration{name: k.id, desired: map[string]*desired{}}
		for i := range recorded {
			if recorded[i].Guest.String() == k.id {
				all.addRecord(&recorded[i], recorded[i].Guest.Ephemeral())
			}
		}
		return all, nil
	}
	return d.ofContainer(ctx, k, recorded)
}

// ofContainer is of for a guest of a source.
func (d *declarations) ofContainer(ctx context.Context, k ref, recorded []keep.Record) (*declaration, error) {
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	c, err := k.source.Describe(ctx, k.id)
	if err != nil {
		return nil, err
	}
	all := &declaration{name: c.Name, desired: map[string]*desired{}}
	for _, own := range d.config.Of(c) {
		all.addOwn(d.config.Who(k.source.Kind(), c), c, own)
	}
	for i := range recorded {
		meant, err := matches(ctx, d.sources, &recorded[i], k.source, c)
		if err != nil {
			return nil, err
		}
		if meant {
			all.addRecord(&recorded[i], false)
		}
	}
	return all, nil
}

// addOwn takes what a container declares.
func (d *declaration) addOwn(who config.Who, c *ns.Container, own config.Declaration) {
	if own.Err != nil {
		d.refused = append(d.refused, own)
		return
	}
	source := keep.FromLabel
	if strings.HasPrefix(own.From, "variable ") {
		source = keep.FromEnv
	}
	d.desired[own.Line.Name] = &desired{
		from: own.From, text: own.Line.String(), byContainer: true, who: who, word: own.Line.Interface,
		resolve: func(ctx context.Context, p *keep.Plugger) (keep.Declared, error) {
			return p.Declared(ctx, own.Line)
		},
		record: &keep.Record{Guest: ns.Ref{Kind: who.Kind, Name: c.Name, ID: c.ID}, Interface: own.Line.Name, Source: source, Phase: keep.Attached},
	}
}

// addRecord takes what was recorded, which comes before what a container declares.
func (d *declaration) addRecord(r *keep.Record, mendOnly bool) {
	d.desired[r.Interface] = &desired{
		from: "command line", text: r.Declared().Text(), record: r, mendOnly: mendOnly,
		resolve: func(ctx context.Context, p *keep.Plugger) (keep.Declared, error) { return p.Resolve(ctx, r) },
	}
}

// matches says whether a record is of this container: by its name also when it was
// recreated, by its ID also when it was renamed, unless another one has the name
// now. Names count on the first source of a kind only, which is the one that a
// command line means: another may have the same.
func matches(ctx context.Context, all []ns.Source, r *keep.Record, s ns.Source, c *ns.Container) (bool, error) {
	sources, word := sourcesOf(all, r.Guest), r.Guest.Base()
	if !slices.Contains(sources, s) {
		return false, nil
	}
	if word == c.Name && (s == sources[0] || r.Guest.ID == c.ID) || len(word) >= 12 && strings.HasPrefix(c.ID, word) {
		return true, nil
	}
	if r.Guest.ID != c.ID {
		return false, nil
	}
	now, err := sources[0].Describe(ctx, word)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return true, nil
	}
	return err == nil && now.Name != word, err
}

// sourcesOf are those that may know the guest. The containers of other users, as in
// podman:alice/web, are in none of them.
func sourcesOf(all []ns.Source, guest ns.Ref) (of []ns.Source) {
	if guest.Owner() != "" {
		return nil
	}
	for _, s := range all {
		if s.Kind() == guest.Kind {
			of = append(of, s)
		}
	}
	return of
}

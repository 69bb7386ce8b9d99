package watch

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// A wish is one interface that a guest is to have.
type wish struct {
	from      string       // for people: "command line", "label pipework.eth1"
	text      string       // to tell whether it has changed
	find      finder       // what is declared, as the host has it now
	word      string       // the interface of the host as a line says it
	declared  bool         // by the container itself, whom not everything is permitted
	record    *keep.Record // of the command line, or the one to be written
	onlyThere bool         // it may be mended, but not plugged in again
}

// A finder finds what is declared by means of a Plugger whose Target is the guest.
type finder func(context.Context, *keep.Plugger) (keep.Declared, error)

func inOrder(wanted map[string]*wish) []string { return slices.Sorted(maps.Keys(wanted)) }

// wanted is what the guest is to have, by the interface's name. A guest that its
// source knows no more is fs.ErrNotExist.
func (r *run) wanted(g *guest) (map[string]*wish, error) {
	wanted := map[string]*wish{}
	records, err := r.records()
	if err != nil {
		return nil, err
	}
	if g.source == nil {
		for i := range records {
			if records[i].Guest.String() == g.id {
				r.addRecord(g, wanted, &records[i])
			}
		}
		return wanted, nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, jobTime)
	defer cancel()
	c, err := g.source.Describe(ctx, g.id)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	g.name = c.Name
	r.mu.Unlock()
	for _, d := range r.Declarations.Of(c) {
		r.addDeclaration(g, wanted, c, d)
	}
	for i := range records {
		meant, err := r.means(ctx, &records[i], g.source, c)
		if err != nil {
			return nil, err
		}
		if meant {
			r.addRecord(g, wanted, &records[i])
		}
	}
	return wanted, nil
}

// addDeclaration takes what a container declares.
func (r *run) addDeclaration(g *guest, wanted map[string]*wish, c *ns.Container, d config.Declaration) {
	if d.Err != nil {
		r.refuse(g, d.From, d.Err)
		return
	}
	source := keep.FromLabel
	if strings.HasPrefix(d.From, "variable ") {
		source = keep.FromEnv
	}
	wanted[d.Line.Name] = &wish{
		from: d.From, text: d.Line.String(), word: d.Line.Interface, declared: true,
		find: func(ctx context.Context, p *keep.Plugger) (keep.Declared, error) {
			return p.Declared(ctx, d.Line, config.Flags{})
		},
		record: &keep.Record{Guest: ns.Ref{Kind: g.source.Kind(), Name: c.Name, ID: c.ID}, Interface: d.Line.Name, Source: source, Phase: keep.Attached},
	}
}

// refuse says once that a declaration is not honoured.
func (r *run) refuse(g *guest, from string, err error) {
	if g.said[from] == err.Error() {
		return
	}
	g.said[from] = err.Error()
	r.metrics.add("refused_total")
	r.warn("not honoured", "guest", g.name, "declared", from, "error", err)
}

// addRecord takes what the command line recorded, which comes before what a
// container declares.
func (r *run) addRecord(g *guest, wanted map[string]*wish, rec *keep.Record) {
	wanted[rec.Interface] = &wish{
		from: "command line", text: rec.Declared().Text(), record: rec,
		find:      func(ctx context.Context, p *keep.Plugger) (keep.Declared, error) { return p.Resolve(ctx, rec) },
		onlyThere: g.source == nil && rec.Guest.Ephemeral(),
	}
}

// means says whether a record is of this container: by its name also when it was
// made anew, by its ID also when it was renamed, unless another one has the name
// now. Names count on the first source of a kind only, which is the one that a
// command line means: another may have the same.
func (r *run) means(ctx context.Context, rec *keep.Record, s ns.Source, c *ns.Container) (bool, error) {
	sources, word := r.sources(rec.Guest), rec.Guest.Base()
	if !slices.Contains(sources, s) {
		return false, nil
	}
	if word == c.Name && (s == sources[0] || rec.Guest.ID == c.ID) || len(word) >= 12 && strings.HasPrefix(c.ID, word) {
		return true, nil
	}
	if rec.Guest.ID != c.ID {
		return false, nil
	}
	now, err := sources[0].Describe(ctx, word)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return true, nil
	}
	return err == nil && now.Name != word, err
}

// sources are those that may know the guest. The containers of other users, as in
// podman:alice/web, are in none of them.
func (r *run) sources(guest ns.Ref) (of []ns.Source) {
	if guest.Owner() != "" {
		return nil
	}
	for _, s := range r.Sources {
		if s.Kind() == guest.Kind {
			of = append(of, s)
		}
	}
	return of
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
)

// explainOr is what check does: with --policy it explains that.
func (o *Options) explainOr(v Verbs) Run {
	return func(ctx context.Context, words []string) error {
		if o.DryRun && !o.Mend {
			return usage("--dry-run belongs to --mend: check changes nothing by itself")
		}
		if o.explaining {
			return o.explain(ctx, words, v)
		}
		return v.Check(ctx, words)
	}
}

// explain tells what containers ask for, and what the policy says to it: these, or all that
// run.
func (o *Options) explain(ctx context.Context, words []string, v Verbs) error {
	if o.policy == "" && len(words) > 0 && strings.HasPrefix(words[0], "/") { // no guest of an engine's
		o.policy, words = words[0], words[1:]
	}
	if err := o.readPolicy(); err != nil {
		return err
	}
	e := explainer{o.Declarations, v.Declared, map[string]bool{}, []Request{}}
	for _, s := range docker.Engines(o.Engines...) {
		if err := e.engine(ctx, s, words); err != nil && !errors.Is(err, errs.ErrAbsent) {
			return err
		}
	}
	for _, word := range words {
		if !e.known[ns.ParseRef(word).Name] {
			return errs.New(fs.ErrNotExist, "no container %s: only those of Docker and Podman declare what they want", word)
		}
	}
	return errors.Join(Refused(e.all), o.Show(e.all, "%s", Requests(e.all)))
}

// An explainer gathers what containers ask for.
type explainer struct {
	config.Declarations
	declared func(context.Context, config.Line) (keep.Declared, error)
	known    map[string]bool
	all      []Request
}

// engine asks one of those of these words that are its guests, or without any about all.
func (e *explainer) engine(ctx context.Context, s ns.Source, words []string) (err error) {
	ids := guestsOf(s.Kind(), words)
	if len(words) == 0 {
		if ids, err = s.Running(ctx); err != nil {
			return err
		}
	}
	for _, id := range ids {
		asks, err := s.Describe(ctx, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		e.known[id] = true
		e.container(ctx, s.Kind(), asks)
	}
	return nil
}

// guestsOf are the words that may mean guests of this kind.
func guestsOf(kind ns.Kind, words []string) (names []string) {
	for _, word := range words {
		if ref := ns.ParseRef(word); ref.Kind == "" || ref.Kind == kind {
			names = append(names, ref.Name)
		}
	}
	return names
}

// container notes what one asks for.
func (e *explainer) container(ctx context.Context, kind ns.Kind, asks *ns.Container) {
	who := e.Who(kind, asks)
	for _, d := range e.Of(asks) {
		e.all = append(e.all, e.request(ctx, ns.Ref{Kind: kind, Name: asks.Name}, who, d))
	}
}

// request is what is said to one declaration.
func (e *explainer) request(ctx context.Context, guest ns.Ref, who config.Who, asked config.Declaration) Request {
	r := Request{Guest: guest.String(), From: asked.From}
	err := asked.Err
	if err == nil {
		r.Interface, r.Line = asked.Line.Name, asked.Line.String()
		d, failed := e.declared(ctx, asked.Line)
		if err = failed; err == nil {
			d.Spec, r.By, err = e.Permit(who, d.Spec, asked.Line.Interface)
			r.Pin, r.Isolated = d.Spec.Pin, isolated(d.Spec.Link)
		}
		if err == nil { // and what nobody could have is not permitted to anybody
			err = d.Spec.Validate()
		}
	}
	if err != nil {
		r.Refused, r.Pin, r.Isolated = fmt.Sprint(err), false, false
	}
	return r
}

// isolated says whether the link is as one that is isolated.
func isolated(b link.Backend) bool {
	i, can := b.(link.Isolator)
	return can && reflect.DeepEqual(i.Isolate(), b)
}

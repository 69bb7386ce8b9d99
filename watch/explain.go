package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A Request is one attachment that a container asks for, and what is said to it.
type Request struct {
	Guest     string `json:"guest"`
	Interface string `json:"interface,omitempty"`
	From      string `json:"from"`           // where the container asks, such as label pipework.eth1
	Line      string `json:"line,omitempty"` // what it asks for
	By        string `json:"by,omitempty"`   // the rule that permits it: file and line
	Pin       bool   `json:"pin,omitempty"`  // it is pinned, by its own word or the rule's
	Isolated  bool   `json:"isolated,omitempty"`
	Refused   string `json:"refused,omitempty"` // why it is not permitted
}

// String is r on one line.
func (r Request) String() string {
	text := r.Guest + ": " + r.From
	if r.Line != "" {
		text += fmt.Sprintf(" (%s)", r.Line)
	}
	switch {
	case r.Refused != "":
		return text + ": refused: " + r.Refused
	case r.By != "":
		text += ": permitted by " + r.By
	default:
		text += ": permitted"
	}
	if r.Pin {
		text += ", pinned"
	}
	if r.Isolated {
		text += ", isolated"
	}
	return text
}

// Explain tells what containers of the Sources ask for, and what the Declarations say to it:
// these, or all that run. It plugs nothing in. A guest that no Source has is an error that
// satisfies fs.ErrNotExist; a Source that is not there is none.
func (w *Watcher) Explain(ctx context.Context, guests ...ns.Ref) ([]Request, error) {
	e := explainer{w, map[string]bool{}, []Request{}}
	for _, s := range w.Sources {
		if err := e.source(ctx, s, guests); err != nil && !errors.Is(err, errs.ErrAbsent) {
			return nil, err
		}
	}
	for _, g := range guests {
		if !e.known[g.Name] {
			return nil, errs.New(fs.ErrNotExist, "no container %s: only those of Docker and Podman declare what they want", g)
		}
	}
	return e.all, nil
}

// An explainer gathers what containers ask for.
type explainer struct {
	*Watcher
	known map[string]bool
	all   []Request
}

// source asks one of those of these guests that may be its own, or without any about all.
func (e *explainer) source(ctx context.Context, s ns.Source, guests []ns.Ref) (err error) {
	var ids []string
	for _, g := range guests {
		if g.Kind == "" || g.Kind == s.Kind() {
			ids = append(ids, g.Name)
		}
	}
	if len(guests) == 0 {
		if ids, err = s.Running(ctx); err != nil {
			return err
		}
	}
	for _, id := range ids {
		c, err := s.Describe(ctx, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		e.known[id] = true
		who := e.Declarations.Who(s.Kind(), c)
		for _, d := range e.Declarations.Of(c) {
			e.all = append(e.all, e.request(ctx, ns.Ref{Kind: s.Kind(), Name: c.Name}, who, d))
		}
	}
	return nil
}

// request is what is said to one declaration.
func (e *explainer) request(ctx context.Context, guest ns.Ref, who config.Who, asked config.Declaration) Request {
	r := Request{Guest: guest.String(), From: asked.From}
	if asked.Err != nil {
		r.Refused = fmt.Sprint(asked.Err)
		return r
	}
	r.Interface, r.Line = asked.Line.Name, asked.Line.String()
	d, err := e.Plugger.Declared(ctx, asked.Line)
	if err == nil {
		d.Spec, r.By, err = e.Declarations.Permit(who, d.Spec, asked.Line.Interface)
	}
	if err == nil { // and what nobody could have is not permitted to anybody
		err = d.Spec.Validate()
	}
	if err != nil {
		r.Refused = fmt.Sprint(err)
		return r
	}
	r.Pin, r.Isolated = d.Spec.Pin, link.IsIsolated(d.Spec.Link)
	return r
}

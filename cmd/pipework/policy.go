package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/cli"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
)

// explain tells what containers ask for, and what the policy says to it: these, or all that
// run.
func (c *command) explain(ctx context.Context, words []string) (err error) {
	if c.policy == "" && len(words) > 0 && strings.HasPrefix(words[0], "/") { // no guest of an engine's
		c.policy, words = words[0], words[1:]
	}
	if c.declarations.Policy, err = cli.ReadPolicy(c.policy); err != nil {
		return err
	}
	all, known := []cli.Request{}, map[string]bool{}
	for _, s := range docker.Engines(c.engines...) {
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
			known[id] = true
			all = append(all, c.requests(ctx, s.Kind(), asks)...)
		}
	}
	for _, word := range words {
		if !known[ns.ParseRef(word).Name] {
			return errs.New(fs.ErrNotExist, "no container %s: only those of Docker and Podman declare what they want", word)
		}
	}
	return errors.Join(cli.Refused(all), c.Show(all, "%s", cli.Requests(all)))
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

// requests are what a container asks for.
func (c *command) requests(ctx context.Context, kind ns.Kind, asks *ns.Container) (all []cli.Request) {
	who := c.declarations.Who(kind, asks)
	for _, d := range c.declarations.Of(asks) {
		all = append(all, c.request(ctx, ns.Ref{Kind: kind, Name: asks.Name}, who, d))
	}
	return all
}

// request is what is said to one declaration.
func (c *command) request(ctx context.Context, guest ns.Ref, who config.Who, asked config.Declaration) cli.Request {
	r := cli.Request{Guest: guest.String(), From: asked.From}
	err := asked.Err
	if err == nil {
		r.Interface, r.Line = asked.Line.Name, asked.Line.String()
		d, failed := c.Declared(ctx, asked.Line)
		if err = failed; err == nil {
			d.Spec, r.By, err = c.declarations.Permit(who, d.Spec, asked.Line.Interface)
			r.Pin, r.Isolated = d.Spec.Pin, isolated(d.Spec.Link)
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

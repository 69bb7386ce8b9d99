package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"github.com/go-pipework/pipework/internal/pause"
)

// sweep has what was left be looked at soon.
func (d sweeper) sweep() {
	select {
	case d.sweeping <- struct{}{}:
	default:
	}
}

// sweepAll takes up what an earlier run left, and what Docker forgot when it died: it follows the
// endpoints that Docker has, and takes away the others. It does so at the start, and whenever
// Docker has started, until ctx ends.
func (d sweeper) sweepAll(ctx context.Context) {
	for d.sweep(); ; {
		select {
		case <-ctx.Done():
			return
		case <-d.sweeping:
		}
		d.sweepOnce(ctx, time.Now())
	}
}

func (d sweeper) sweepOnce(ctx context.Context, since time.Time) {
	left, err := d.notes(endpointKind)
	if err != nil {
		d.Log.Warn("state", "error", err)
	}
	for id, network := range left {
		d.retry(ctx, func() error { return d.takeUp(ctx, id, network, since) })
	}
	networks, err := d.notes(networkKind)
	if err != nil {
		d.Log.Warn("state", "error", err)
	}
	for id := range networks {
		d.retry(ctx, func() error { return d.forget(ctx, id, since) })
	}
	d.collect(ctx)
}

// forget forgets a network that Docker has not any more.
func (d sweeper) forget(ctx context.Context, id string, since time.Time) error {
	_, err := d.netInfo(ctx, id)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	n, err := d.network(id)
	if err != nil || n.Created.After(since) { // Docker lists it once it is created
		return unlessMissing(err)
	}
	return d.Store.DeleteNote(networkNote(id))
}

// collect takes away what killed calls left on the host.
func (d sweeper) collect(ctx context.Context) {
	all, err := d.Collect(ctx)
	for _, what := range all {
		d.Log.Info("collected", "what", what.String())
	}
	if err != nil && ctx.Err() == nil {
		d.Log.Warn("collect", "error", err)
	}
}

// retry goes on until Docker answers.
func (d sweeper) retry(ctx context.Context, do func() error) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := do()
		if err == nil || ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errNoDocker) {
			d.Log.Warn("cannot take up what was left", "error", err)
			return
		}
		if pause.For(ctx, wait) != nil {
			return
		}
	}
}

// notes are the notes of a kind: which networks they are about.
func (d sweeper) notes(kind string) (map[string]string, error) {
	all, err := d.Store.Notes(kind)
	about := map[string]string{}
	for _, b := range all {
		var n struct{ ID, Network string }
		if wrong := json.Unmarshal(b, &n); wrong != nil {
			d.Log.Warn("a note cannot be read", "error", wrong)
			continue
		}
		about[n.ID] = n.Network
	}
	return about, err
}

// takeUp takes up one endpoint, unless a message about it came since then.
func (d sweeper) takeUp(ctx context.Context, id, network string, since time.Time) error {
	known, err := d.has(ctx, id, network)
	if err != nil {
		return err
	}
	t := d.turn(id)
	defer t.Unlock()
	e, err := d.endpoint(id)
	if errors.Is(err, fs.ErrNotExist) || t.last.After(since) {
		return nil
	}
	switch {
	case err != nil:
		return err
	case !known:
		d.Log.Info("removing what Docker has not any more", "endpoint", short(id))
		return d.remove(ctx, t, e)
	case e.Sandbox != "" && t.stop == nil:
		d.follow(t, e)
	}
	return nil
}

// has says whether Docker has the endpoint.
func (d sweeper) has(ctx context.Context, id, network string) (bool, error) {
	n, err := d.netInfo(ctx, network)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	for _, c := range n.Containers {
		if c.EndpointID == id {
			return true, nil
		}
	}
	return false, err
}

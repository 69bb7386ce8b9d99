package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"github.com/go-pipework/pipework/internal/pause"
)

// recover takes up what an earlier run left: it follows the endpoints that Docker has, and takes
// away the others. It waits until Docker answers.
func (d *Driver) recover(ctx context.Context) {
	left, err := d.notes(endpointKind)
	if err != nil {
		d.Log.Warn("state", "error", err)
	}
	for id, network := range left {
		d.retry(ctx, func() error { return d.takeUp(ctx, id, network) })
	}
	networks, err := d.notes(networkKind)
	if err != nil {
		d.Log.Warn("state", "error", err)
	}
	for id := range networks {
		d.retry(ctx, func() error {
			_, err := d.netInfo(ctx, id)
			if errors.Is(err, fs.ErrNotExist) {
				return d.Store.DeleteNote(networkNote(id))
			}
			return err
		})
	}
	d.collect(ctx)
}

// collect takes away what killed calls left on the host.
func (d *Driver) collect(ctx context.Context) {
	all, err := d.Collect(ctx)
	for _, what := range all {
		d.Log.Info("collected", "what", what.String())
	}
	if err != nil && ctx.Err() == nil {
		d.Log.Warn("collect", "error", err)
	}
}

// retry goes on until Docker answers.
func (d *Driver) retry(ctx context.Context, do func() error) {
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
func (d *Driver) notes(kind string) (map[string]string, error) {
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

// takeUp takes up one endpoint, unless a message about it came since the start.
func (d *Driver) takeUp(ctx context.Context, id, network string) error {
	known, err := d.has(ctx, id, network)
	if err != nil {
		return err
	}
	d.mu.Lock()
	_, active := d.endpoints[id]
	d.mu.Unlock()
	if active {
		return nil
	}
	t := d.turn(id)
	defer t.Unlock()
	e, err := d.endpoint(id)
	if errors.Is(err, fs.ErrNotExist) {
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
func (d *Driver) has(ctx context.Context, id, network string) (bool, error) {
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

//go:build linux

package pipework

import (
	"context"

	"github.com/go-pipework/pipework/link"
)

// Collect is [Collect] by this Attacher.
func (a *Attacher) Collect(ctx context.Context) ([]string, error) {
	return a.collect(ctx, link.Collect)
}

// Orphans is [Orphans] by this Attacher.
func (a *Attacher) Orphans(ctx context.Context) ([]string, error) {
	return a.collect(ctx, link.Orphans)
}

func (a *Attacher) collect(ctx context.Context, by func(context.Context, link.Host) ([]string, error)) ([]string, error) {
	host, err := a.openHost(ctx)
	if err != nil {
		return nil, &Error{Op: "collect", Stage: "guest", Err: err}
	}
	defer closeHost(host, a.Host)
	names, err := by(ctx, host)
	a.warnOfUnrecorded(ctx, host)
	if err != nil {
		return names, &Error{Op: "collect", Stage: "link", Err: err}
	}
	return names, nil
}

// warnOfUnrecorded tells the log of what is left alone. It is no failure: a guest can
// bring it about.
func (a *Attacher) warnOfUnrecorded(ctx context.Context, host link.Host) {
	if a.Log == nil {
		return
	}
	lines, err := link.Unrecorded(ctx, host)
	for _, text := range lines {
		a.Log.WarnContext(ctx, text)
	}
	if err != nil {
		a.Log.WarnContext(ctx, "look for marks of NICs without a record", "error", err)
	}
}

// Detect finds the backend for a name as the classic command line has it: see
// link.Detect. ovs may be nil.
func (a *Attacher) Detect(ctx context.Context, name string, ovs link.OVSLookup) (link.Backend, error) {
	host, err := a.openHost(ctx)
	if err != nil {
		return nil, &Error{Op: "detect", Stage: "guest", Err: err}
	}
	defer closeHost(host, a.Host)
	b, err := link.Detect(ctx, host, name, ovs)
	if err != nil {
		return nil, &Error{Op: "detect", Stage: "link", Err: err}
	}
	return b, nil
}

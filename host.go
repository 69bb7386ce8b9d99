//go:build linux

package pipework

import (
	"context"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
)

// Collect is [Collect] by this Attacher.
func (a *Attacher) Collect(ctx context.Context) ([]link.Collected, error) {
	return a.collect(ctx, link.Collector.Collect)
}

// Orphans is [Orphans] by this Attacher.
func (a *Attacher) Orphans(ctx context.Context) ([]link.Collected, error) {
	return a.collect(ctx, link.Collector.Orphans)
}

// kernelLinks are collected in any case.
type kernelLinks struct{}

func (kernelLinks) Collect(ctx context.Context, h link.Host) ([]link.Collected, error) {
	return link.Collect(ctx, h)
}

func (kernelLinks) Orphans(ctx context.Context, h link.Host) ([]link.Collected, error) {
	return link.Orphans(ctx, h)
}

// collect has every Collector do its work; one that fails does not keep the others.
func (a *Attacher) collect(ctx context.Context, do func(link.Collector, context.Context, link.Host) ([]link.Collected, error)) (all []link.Collected, err error) {
	host, err := a.openHost(ctx)
	if err != nil {
		return nil, &Error{Op: "collect", Stage: StageGuest, Err: err}
	}
	defer closeHost(host, a.Host)
	var failed []error
	for _, c := range append([]link.Collector{kernelLinks{}}, a.Collectors...) {
		some, err := do(c, ctx, host)
		all, failed = append(all, some...), append(failed, err)
	}
	a.warnOfUnrecorded(ctx, host)
	if err := errs.Join(failed...); err != nil {
		return all, &Error{Op: "collect", Stage: StageLink, Err: err}
	}
	return all, nil
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
		return nil, &Error{Op: "detect", Stage: StageGuest, Err: err}
	}
	defer closeHost(host, a.Host)
	b, err := link.Detect(ctx, host, name, ovs)
	if err != nil {
		return nil, &Error{Op: "detect", Stage: StageLink, Err: err}
	}
	return b, nil
}

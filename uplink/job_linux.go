package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ifconf"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// A job is one call.
type job struct {
	Plan
	mover
	kind  kind
	moved *Moved
	taken *takenLease // of a DHCP client
	late  bool        // ovs-vswitchd was waited for in vain
}

// A refuser is a job that looks at what is refused.
type refuser struct{ *job }

// A drifter is a job that compares what is with what was recorded.
type drifter struct{ *job }

// A leaser is a job that takes the lease of another DHCP client over.
type leaser struct{ *job }

// open opens the host, and keeps others from the bridge until end is called.
func (p Plan) open(ctx context.Context) (j *job, end func(), err error) {
	if err := p.validate(); err != nil {
		return nil, nil, err
	}
	given := p.OVS
	if given == nil {
		p.OVS = new(ovs.Client)
	}
	j = &job{Plan: p, moved: &Moved{NIC: p.NIC, Bridge: p.Bridge}}
	j.kind = linux{j}
	if p.isShim() {
		j.kind = macvlan{j}
	}
	if j.host.Handle = p.Host; p.Host == nil {
		if j.host.Handle, err = ns.Current(); err != nil {
			return nil, nil, err
		}
	}
	unlock := func() {}
	end = func() {
		unlock()
		if j.host.Conn != nil {
			_ = j.host.Conn.Close()
		}
		if p.Host == nil {
			_ = j.host.Close()
		}
		if given == nil {
			_ = j.OVS.Close()
		}
	}
	if j.host.Conn, err = j.host.Handle.Conn(ctx); err == nil && !p.DryRun {
		unlock, err = p.lock(ctx)
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return j, end, nil
}

// lock keeps others from the NIC, whatever bridge they mean, and then from the bridge: none waits for
// one who waits for it.
func (p Plan) lock(ctx context.Context) (unlock func(), err error) {
	nic, err := p.Store.LockNote(ctx, keep.Note{Kind: "uplinked", Of: p.NIC})
	if err != nil {
		return func() {}, err
	}
	bridge, err := p.Store.LockNote(ctx, p.note())
	if err != nil {
		nic()
		return func() {}, err
	}
	return func() { bridge(); nic() }, nil
}

// choose finds out of which kind the bridge is, by the rules for guests: [link.Detect].
func (j *job) choose(ctx context.Context) error {
	if j.isShim() {
		return nil
	}
	j.kind = linux{j}
	if j.spelled == "bridge" {
		return nil
	}
	_, missing := rtnl.LinkByName(ctx, j.host.Conn, j.Bridge)
	name := j.Bridge
	if j.spelled != "" {
		name = j.spelled + ":" + name
	}
	b, err := link.Detect(ctx, j.host, name, j.OVS.Lookup)
	switch _, is := b.(ovs.Bridge); {
	case is:
		j.kind = openvswitch{j}
	case errors.Is(err, fs.ErrNotExist) && j.spelled == "" && !strings.HasPrefix(j.Bridge, "ovs"),
		errors.Is(err, fs.ErrNotExist) && missing == nil:
		return nil // any name does for a bridge of Linux
	}
	return err
}

func (p Plan) validate() error {
	wrong := []error{link.ValidName(p.NIC), link.ValidName(p.Bridge)}
	if _, err := parseProbe(p.Probe); err != nil {
		wrong = append(wrong, err)
	}
	switch {
	case p.Store == nil && !p.DryRun:
		wrong = append(wrong, errors.New("no store to record in what was"))
	case p.NIC == p.Bridge:
		wrong = append(wrong, fmt.Errorf("%s cannot be its own bridge", p.NIC))
	case p.Confirm < 0:
		wrong = append(wrong, fmt.Errorf("nothing can be confirmed within %v", p.Confirm))
	}
	if err := errs.Join(wrong...); err != nil {
		return errs.New(fs.ErrInvalid, "%w", err)
	}
	return nil
}

// do runs f on a thread in the host's namespace.
func (m mover) do(ctx context.Context, f func() error) error { return m.host.Do(ctx, f) }

var _ ifconf.Do = mover{}.do

func (j *job) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(j.moved.Warnings, text) {
		j.moved.Warnings = append(j.moved.Warnings, text)
	}
}

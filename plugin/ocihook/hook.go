// Package ocihook is pipework as hooks of an OCI runtime: createRuntime attaches, before the
// container's first instruction, what is recorded for it and what its annotations, or with
// Docker its labels, declare; poststop takes that away. It needs the privileges of
// [pipework.Attach], in the namespaces of the host that the runtime calls hooks in.
package ocihook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/plugin"
)

// Patience bounds a hook. A runtime whose own time is over kills the hook, which undoes nothing
// then; ours is to be over before.
const Patience = 20 * time.Second

// The stages of the OCI runtime specification that this is for.
const (
	createRuntime = "createRuntime"
	poststop      = "poststop"
)

// Run is the hook of this stage, createRuntime or poststop; state is what the runtime writes, in
// JSON. Its errors are those of [pipework.Attach] and [pipework.Detach]; a stage or a state that
// is none satisfies fs.ErrInvalid, what may not be declared fs.ErrPermission, and what has taken
// longer than Patience context.DeadlineExceeded.
func Run(ctx context.Context, h *plugin.Host, stage string, state io.Reader) error {
	ctx, cancel := context.WithTimeoutCause(ctx, Patience, errs.New(context.DeadlineExceeded, "the hook has taken %v", Patience))
	defer cancel()
	s, err := readState(state)
	if err != nil {
		return err
	}
	kind, c, err := s.container()
	if err != nil {
		return err
	}
	k := &hook{Host: *h, guest: ns.Ref{Kind: kind, Name: c.Name, ID: c.ID}, container: c, pid: s.PID}
	if kind == ns.Process {
		k.guest.Name = strconv.Itoa(s.PID)
	}
	k.Target = k.target
	switch stage {
	case createRuntime:
		return k.create(ctx)
	case poststop:
		return k.stop(ctx)
	}
	return errs.New(fs.ErrInvalid, "there is no stage %q here: createRuntime or poststop", stage)
}

// A hook is one call of a runtime's.
type hook struct {
	plugin.Host
	guest     ns.Ref
	container *ns.Container
	pid       int
}

// target finds guests. The container itself is not asked for at its runtime, which answers only
// when the hook has ended.
func (k *hook) target(ref ns.Ref) pipework.Target {
	if ref.Kind == k.guest.Kind && (ref.Name == k.guest.Name || ref.Name == k.container.ID || ref.ID == k.container.ID) {
		return k
	}
	return plugin.Target(k.Store)(ref)
}

// String is the container's name.
func (k *hook) String() string { return k.container.Name }

// Open opens the container's namespace by its process, which the runtime has told.
func (k *hook) Open(ctx context.Context) (*ns.Guest, error) {
	if k.pid == 0 {
		return nil, errs.StoppedAs(k.container.ID, "%s does not run any more", k.container.Name)
	}
	g, err := ns.PID(k.pid).Open(ctx)
	if err == nil {
		g.Name, g.ID = k.container.Name, k.container.ID
	}
	return g, err
}

// create attaches what is recorded, then what the container declares.
func (k *hook) create(ctx context.Context) error {
	if k.pid == 0 {
		return errs.New(fs.ErrInvalid, "the runtime's state has no pid: createRuntime is the stage for this hook")
	}
	if err := k.refuse(); err != nil {
		return err
	}
	mine, err := k.recorded()
	if err != nil {
		return err
	}
	for _, r := range mine {
		if r.Source == keep.FromCommand {
			if err := k.again(ctx, &r); err != nil {
				return fmt.Errorf("%s: %w", r.Interface, err)
			}
		}
	}
	_, err = k.Declare(ctx, k.guest, k.container)
	return err
}

// refuse refuses a container whose declarations cannot be told from its image's.
func (k *hook) refuse() error {
	if k.container.ImageKnown || k.Declarations.TrustImages {
		return nil
	}
	trusting := k.Declarations
	trusting.TrustImages = true
	if len(trusting.Of(k.container)) == 0 {
		return nil
	}
	return errs.New(fs.ErrPermission, "%s declares interfaces, and its image %s is not there to be compared with: the image may be who declares them (--trust-images permits that)", k.container.Name, k.container.Image)
}

// again attaches what was typed for the container before it started again.
func (k *hook) again(ctx context.Context, r *keep.Record) error {
	all, err := k.Status(ctx, r.Guest)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Interface == r.Interface && !s.OK() {
			if _, err := k.Mend(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// recorded are the records of the container.
func (k *hook) recorded() ([]keep.Record, error) {
	all, _, err := k.Store.All()
	return slices.DeleteFunc(all, func(r keep.Record) bool { return !k.is(r.Guest) }), err
}

// is says whether the guest of a record is the container. IDs of several runtimes may be alike, and
// the number of a process that has ended may be this one's.
func (k *hook) is(guest ns.Ref) bool {
	if guest.Kind == "" { // of no runtime in particular
		return guest.ID == k.container.ID
	}
	return guest.Kind == k.guest.Kind && (guest.ID == k.container.ID || guest.Name == k.guest.Name && guest.Kind != ns.Process)
}

// stop takes away what the container declared, and of what was typed for it what is left on
// the host; that stays recorded.
func (k *hook) stop(ctx context.Context) error {
	mine, err := k.recorded()
	failed := []error{err}
	typed := false
	for _, r := range mine {
		if r.Source == keep.FromCommand && !r.Guest.Ephemeral() {
			typed = true
			continue
		}
		_, err := k.Detach(ctx, r.Guest, r.Interface, keep.DetachOptions{})
		if !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	if typed {
		_, err := k.Collect(ctx)
		failed = append(failed, err)
	}
	return errs.Join(failed...)
}

// Package fault lets the contract test make every single step of an operation
// fail in turn. A step is any call that leaves the process: each netlink
// message, each opened socket, each sysctl. In production a context carries no
// Injector and a step costs some context lookups. A context may also be one in which
// nothing is changed ([ReadOnly]).
package fault

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
)

// An Injector decides, step by step, whether the step fails before it is made.
type Injector func(step string) error

type key struct{}

// With returns a context whose steps ask f first.
func With(ctx context.Context, f Injector) context.Context {
	return context.WithValue(ctx, key{}, f)
}

// Step reports why the named step must not be made: the context ended, or the
// Injector said so. Clean-up runs in a context that [Off] made.
func Step(ctx context.Context, step string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if ctx.Value(readOnlyKey{}) != nil && changes(step) {
		return fmt.Errorf("a call that is to change nothing was about to make the step %q: report this", step)
	}
	if k, ok := ctx.Value(killKey{}).(*killer); ok {
		if err := k.step(step); err != nil {
			return err
		}
	}
	if f, ok := ctx.Value(key{}).(Injector); ok && f != nil {
		return f(step)
	}
	return nil
}

// ReadOnly returns a context in which no netlink message that changes something is sent, no
// sysctl or record written, and nothing asked of a DHCP server: such a step fails. [Off] and [With] do not end that.
func ReadOnly(ctx context.Context) context.Context {
	return context.WithValue(ctx, readOnlyKey{}, true)
}

type readOnlyKey struct{}

// changes says whether a step changes something, as far as its name tells.
func changes(step string) bool {
	message, netlink := strings.CutPrefix(step, "RTM_")
	return netlink && !strings.HasPrefix(message, "GET") || strings.HasPrefix(step, "sysctl") || strings.HasPrefix(step, "dhcp") || strings.HasPrefix(step, "write ")
}

// Kill returns a context in which no further step is made once f has failed one,
// not even to clean up: as if the process had been killed there.
func Kill(ctx context.Context, f Injector) context.Context {
	return context.WithValue(ctx, killKey{}, &killer{f: f})
}

type killKey struct{}

type killer struct {
	f    Injector
	dead atomic.Pointer[error]
}

func (k *killer) step(step string) error {
	if err := k.dead.Load(); err != nil {
		return *err
	}
	err := k.f(step)
	if err != nil {
		k.dead.Store(&err)
	}
	return err
}

// Killed says that a step has failed in a context of [Kill]'s: whoever would clean
// up is dead.
func Killed(ctx context.Context) bool {
	k, ok := ctx.Value(killKey{}).(*killer)
	return ok && k.dead.Load() != nil
}

// Off returns a context that shares ctx's values but neither its end nor its
// Injector: for clean-up after a failure.
func Off(ctx context.Context) context.Context {
	return With(context.WithoutCancel(ctx), nil)
}

package find

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// Open asks all places for the name at once, and returns when all have answered.
func (n Name) Open(ctx context.Context) (*ns.Guest, error) {
	return lookUp(ctx, n, places[:])
}

// A result is what one place said: a guest or an error.
type result struct {
	kind  ns.Kind
	guest *ns.Guest
	err   error
}

// ref is what names the guest that was found here, and no other.
func (r result) ref(name string) ns.Ref {
	if r.kind == ns.Containerd && r.guest != nil {
		name = r.guest.ID
	}
	return ns.Ref{Kind: r.kind, Name: name}
}

// A standing is what a result says about the name.
type standing int

const (
	nobody  standing = iota // the place knows nobody of this name, or is not there
	running                 // here is the guest
	stopped                 // it is known, and does not run
	several                 // the place itself knows more than one
	down                    // the place is there, but nobody listens, or can be asked
	silent                  // it may have the guest and did not say
)

func (r result) standing() standing {
	switch {
	case r.err == nil:
		return running
	case errors.Is(r.err, errs.ErrAbsent), errors.Is(r.err, errs.ErrUnknown):
		return nobody
	case errors.Is(r.err, syscall.ECONNREFUSED), errors.Is(r.err, errs.ErrNoAddress):
		return down
	case errors.Is(r.err, errs.ErrUnasked):
		return silent
	case r.kind == ns.Netns && (errors.Is(r.err, fs.ErrNotExist) || errors.Is(r.err, fs.ErrInvalid)):
		return nobody // at most a name that was left behind
	case errors.Is(r.err, fs.ErrInvalid):
		return several
	case errors.Is(r.err, fs.ErrNotExist):
		return stopped
	}
	return silent
}

func lookUp(ctx context.Context, n Name, places []place) (*ns.Guest, error) {
	g, _, err := resolve(ctx, n, places)
	return g, err
}

// resolve also returns the guest's Ref with its kind, which it has also where it is
// known and does not run; the zero Ref where nothing knows it.
func resolve(ctx context.Context, n Name, places []place) (g *ns.Guest, ref ns.Ref, err error) {
	results := ask(ctx, n, places)
	chosen, err := results.choose(n.Name)
	if known := results.guests(); len(known) == 1 && len(results.that(silent)) == 0 {
		ref = known[0].ref(n.Name)
	}
	for _, r := range results {
		if r.guest != nil && r.guest != chosen {
			_ = r.guest.Close()
		}
	}
	if ctx.Err() != nil && err != nil {
		return nil, ns.Ref{}, fmt.Errorf("look for guest %s: %w", n.Name, context.Cause(ctx))
	}
	return chosen, ref, err
}

// ask asks all places for the name.
func ask(ctx context.Context, n Name, places []place) results {
	patience := cmp.Or(n.Patience, 3*time.Second)
	asked, cancel := context.WithTimeoutCause(ctx, patience, errs.New(context.DeadlineExceeded, "waited %v", patience))
	defer cancel()
	results := make(results, len(places))
	var wg sync.WaitGroup
	for i, p := range places {
		wg.Go(func() {
			g, err := p.guest(n.Name).Open(asked)
			results[i] = result{p.kind, g, err}
		})
	}
	wg.Wait()
	return results
}

type results []result

func (rs results) choose(name string) (*ns.Guest, error) {
	known := rs.guests()
	bad := rs.that(silent)
	switch {
	case len(known) > 1:
		return nil, errs.New(fs.ErrInvalid, "several guests are called %q: say which: %s", name, join(known, func(r result) string { return r.ref(name).String() }))
	case len(known) == 1 && len(bad) > 0:
		return nil, errs.New(bad[0].err, "%s may have a %q too, and does not say: write %s if you mean that (%w)", kinds(bad), name, known[0].ref(name), bad[0].err)
	case len(known) == 1:
		return known[0].guest, known[0].err
	}
	if mute := append(bad, rs.that(down)...); len(mute) > 0 {
		err := errs.New(mute[0].err, "%s; %s", join(mute, func(r result) string { return r.err.Error() }), rs.nowhere(name, " elsewhere"))
		return nil, unanswered{error: err, silent: bad}
	}
	impossible := func(r result) bool { return errors.Is(r.err, errs.ErrUnknown) && errors.Is(r.err, fs.ErrInvalid) }
	if !slices.ContainsFunc(rs, func(r result) bool { return !impossible(r) }) {
		return nil, errs.NoName("%q cannot be a guest's name: those are plain words, as web is", name)
	}
	return nil, errs.Unknown("%s", rs.nowhere(name, ""))
}

// unanswered is the error of a name that no place knows, where not all have answered.
type unanswered struct {
	error
	silent results // those that may know it
}

// Unwrap is the error.
func (u unanswered) Unwrap() error { return u.error }

// mayBe says whether the guest is of a kind whose place may know it.
func (u unanswered) mayBe(guest ns.Ref) bool {
	return slices.ContainsFunc(u.silent, func(r result) bool { return r.kind == guest.Kind })
}

// guests are the different guests that were found, whether they run or not, each
// with the first place that knows it. Beside others, a control group is none that is
// empty or has the host's own namespace, nor beside several guests of one kind, one
// of whose it will be.
func (rs results) guests() results {
	var all results
	for _, r := range rs {
		switch r.standing() {
		case stopped, several:
			all = append(all, r)
		case running:
			same := func(o result) bool { return o.guest != nil && o.guest.Inode() == r.guest.Inode() }
			if !slices.ContainsFunc(all, same) {
				all = append(all, r)
			}
		}
	}
	last := len(all) - 1
	if last < 1 || all[last].kind != ns.Cgroup {
		return all
	}
	ambiguous := func(r result) bool { return r.standing() == several }
	group := all[last]
	if group.standing() == stopped || group.guest != nil && onHost(group.guest) || slices.ContainsFunc(all[:last], ambiguous) {
		all = all[:last]
	}
	return all
}

func onHost(g *ns.Guest) bool {
	host, err := ns.Current()
	if err != nil {
		return false
	}
	defer func() { _ = host.Close() }()
	return host.Inode() == g.Inode()
}

func (rs results) that(s standing) results {
	return slices.DeleteFunc(slices.Clone(rs), func(r result) bool { return r.standing() != s })
}

// nowhere tells where a name was looked for in vain; other is put after it.
func (rs results) nowhere(name, other string) string {
	absent := func(r result) bool { return errors.Is(r.err, errs.ErrAbsent) }
	var here, gone results
	for _, r := range rs.that(nobody) {
		if absent(r) {
			gone = append(gone, r)
		} else {
			here = append(here, r)
		}
	}
	text := fmt.Sprintf("no guest is called %q%s", name, other)
	if len(here) > 0 {
		text += ": looked in " + kinds(here)
	}
	if len(gone) > 0 {
		text += "; not on this machine: " + kinds(gone)
	}
	return text
}

func kinds(rs results) string { return join(rs, func(r result) string { return string(r.kind) }) }

func join(rs results, text func(result) string) string {
	texts := make([]string, len(rs))
	for i, r := range rs {
		texts[i] = text(r)
	}
	return strings.Join(texts, ", ")
}

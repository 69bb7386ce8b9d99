//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/parts"
	"github.com/go-pipework/pipework/link"
)

// A lamp is a concern that is on or off.
type lamp struct {
	on, burning bool
	calls       []string
	broken      error
}

func (p *lamp) Apply(_ context.Context, s *parts.Site) error {
	p.calls = append(p.calls, "apply "+s.Link.Name)
	return p.turn(s.Undo, p.on)
}

func (p *lamp) turn(u *link.Undo, on bool) error {
	was := p.burning
	u.Push("lamp", func(context.Context) error { p.burning = was; return nil })
	p.burning = on
	return p.broken
}

func (p *lamp) Compare(_ context.Context, s *parts.Site) (d parts.Diff, _ error) {
	p.calls = append(p.calls, "compare "+s.Link.Name)
	mend := func(_ context.Context, u *link.Undo) error { return p.turn(u, p.on) }
	if p.on && !p.burning {
		d.Missing = []link.Drift{{What: "the lamp is off", Mend: mend}}
	}
	if !p.on && p.burning && s.Exact {
		d.Surplus = []link.Drift{{What: "the lamp is on", Mend: mend}}
	}
	return d, nil
}

func (p *lamp) Asks(context.Context, *parts.Site) (lines []string, _ error) {
	if p.on {
		lines = append(lines, "a lamp")
	}
	return lines, nil
}

func (p *lamp) Remove(_ context.Context, s *parts.Site) error {
	p.calls = append(p.calls, "remove "+s.Link.Name)
	return p.turn(s.Undo, false)
}

// TestAnotherPart adds a concern, which every call deals with.
func TestAnotherPart(t *testing.T) {
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	p := &lamp{on: true}
	if at, err := (pipework.Attacher{}).With(p).Plan(t.Context(), target, spec("eth1", "br1", "10.1.0.1/24")); err != nil || !slices.Contains(at.Plan, "a lamp") {
		t.Errorf("planned: %v, %v", at, err)
	}
	a := pipework.Attacher{}.With(p)
	s := spec("eth1", "br1", "10.1.0.1/24")
	attach := func() []string {
		t.Helper()
		at, err := a.Attach(t.Context(), target, s)
		if err != nil {
			t.Fatal(err)
		}
		return at.Mended
	}
	attach()
	if !p.burning {
		t.Error("attach did not apply it")
	}
	p.burning = false
	checked, err := a.Check(t.Context(), target, s)
	if err != nil || !slices.Equal(checked.Drifts, []string{"the lamp is off"}) {
		t.Errorf("check: %+v, %v", checked, err)
	}
	listed, err := a.List(t.Context(), target)
	if err != nil || len(listed) != 1 || !slices.Equal(listed[0].Drifts, []string{"the lamp is off"}) {
		t.Errorf("list: %+v, %v", listed, err)
	}
	if mended := attach(); !slices.Equal(mended, []string{"the lamp is off"}) || !p.burning {
		t.Errorf("attached again, it mended %q", mended)
	}
	p.on = false
	if at, err := a.Update(t.Context(), target, s); err != nil || !slices.Equal(at.Mended, []string{"the lamp is on"}) || p.burning {
		t.Errorf("update: %+v, %v", at, err)
	}
	p.on, p.broken = true, errors.New("no current")
	if _, err := a.Update(t.Context(), target, s); !errors.Is(err, p.broken) || p.burning {
		t.Errorf("update that fails: %v, burning %v", err, p.burning)
	}
	p.broken, p.burning, p.calls = nil, true, nil
	if _, err := a.Detach(t.Context(), target, s); err != nil || p.burning {
		t.Errorf("detach: %v, burning %v", err, p.burning)
	}
	if diff := cmp.Diff([]string{"remove eth1"}, p.calls); diff != "" {
		t.Error(diff)
	}
	p.broken = errors.New("no current")
	if _, err := a.Attach(t.Context(), target, s); err == nil || !strings.Contains(err.Error(), "no current") || p.burning {
		t.Errorf("attach that fails: %v, burning %v", err, p.burning)
	}
	world.Unchanged(t)
}

// A fuse is a concern that compares as its function says.
type fuse func(*parts.Site) parts.Diff

func (fuse) Apply(context.Context, *parts.Site) error                       { return nil }
func (fuse) Asks(context.Context, *parts.Site) ([]string, error)            { return nil, nil }
func (fuse) Remove(context.Context, *parts.Site) error                      { return nil }
func (f fuse) Compare(_ context.Context, s *parts.Site) (parts.Diff, error) { return f(s), nil }

// TestUpdateMendsAgain loses something that is asked for beside what is surplus, and then
// something that does not stay, however often it is mended.
func TestUpdateMendsAgain(t *testing.T) {
	target, g := nstest.Guest(t)
	s := spec("eth1", "br1", "10.1.0.1/24")
	attach(t, target, s)
	world := nstest.Observe(t, g.Handle)
	lit, surplus, mended := true, true, 0
	flip := func(what string, state *bool, to bool) []link.Drift {
		return []link.Drift{{What: what, Mend: func(_ context.Context, u *link.Undo) error {
			was := *state
			u.Push(what, func(context.Context) error { *state = was; return nil })
			*state = to
			return nil
		}}}
	}
	a := pipework.Attacher{}.With(fuse(func(s *parts.Site) (d parts.Diff) {
		if !lit {
			d.Missing = flip("it is dark", &lit, true)
		}
		if surplus && s.Exact {
			d.Surplus = flip("it burns twice", &surplus, false)
			d.Surplus[0].Mend = func(context.Context, *link.Undo) error { surplus, lit = false, false; return nil }
		}
		return d
	}))
	at, err := a.Update(t.Context(), target, s)
	if err != nil || !lit || surplus || !slices.Equal(at.Mended, []string{"it burns twice", "it is dark"}) {
		t.Errorf("%+v, %v; lit %v, surplus %v", at, err, lit, surplus)
	}
	a = pipework.Attacher{}.With(fuse(func(*parts.Site) parts.Diff {
		return parts.Diff{Missing: []link.Drift{{What: "it flickers", Mend: func(context.Context, *link.Undo) error { mended++; return nil }}}}
	}))
	if _, err := a.Update(t.Context(), target, s); err == nil || !strings.Contains(err.Error(), "does not stay as it is to be: it flickers") || mended != 3 {
		t.Errorf("mended %d times: %v", mended, err)
	}
	world.Unchanged(t)
	detach(t, target, s)
}

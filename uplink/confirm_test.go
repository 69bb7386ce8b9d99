//go:build linux

package uplink_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/uplink"
)

// guarded has the plan start a guard, whose end is told.
func guarded(t *testing.T, p *uplink.Plan, within time.Duration) (ended chan error) {
	ended = make(chan error, 1)
	p.Confirm = within
	plain := *p
	p.Guarded = func(context.Context) error {
		go func() {
			_, err := uplink.Guard(context.WithoutCancel(t.Context()), plain)
			ended <- err
		}()
		return nil
	}
	return ended
}

// TestConfirm has a move undone that nobody confirms, and stay once somebody has.
func TestConfirm(t *testing.T) { sorts(t, testConfirm) }

func testConfirm(t *testing.T, as sort) {
	s := newScene(t)
	as.on(t, s)
	before := s.snapshot(t)
	ended := guarded(t, &s.plan, time.Second)
	if err := uplink.Confirm(t.Context(), s.plan); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing to confirm: %v", err)
	}
	if _, err := uplink.Move(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.unchanged(t, before)
	if err := uplink.Confirm(t.Context(), s.plan); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("too late: %v", err)
	}

	ended = guarded(t, &s.plan, time.Hour)
	if _, err := uplink.Move(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	if err := uplink.Confirm(t.Context(), s.plan); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	nstest.Ping(t, s.remote.Handle, "10.0.0.2")
	if m, err := uplink.Move(t.Context(), s.plan); err != nil || !m.Existed {
		t.Errorf("confirmed: %+v, %v", m, err)
	}
	undoAll(t, s)
	s.unchanged(t, before)
}

// TestGuardOfTheKilled stops a move before every step: the guard, which outlives it, makes the host
// what it was.
func TestGuardOfTheKilled(t *testing.T) { sorts(t, testGuardOfTheKilled) }

func testGuardOfTheKilled(t *testing.T, as sort) {
	s := newScene(t)
	as.on(t, s)
	s.richly(t)
	before := s.snapshot(t)
	contract.SomeSteps(t, fault.Kill, func(ctx context.Context) error {
		plan := s.plan
		ended := guarded(t, &plan, time.Millisecond)
		started := false
		start := plan.Guarded
		plan.Guarded = func(ctx context.Context) error {
			started = true
			return start(ctx)
		}
		_, err := uplink.Move(ctx, plan)
		if started {
			if failed := <-ended; failed != nil {
				t.Error(failed)
			}
		}
		s.unchanged(t, before)
		undoAll(t, s)
		return err
	})
}

// TestProbe has a move undone at once when what is probed is not reached, and confirmed when it is.
func TestProbe(t *testing.T) { sorts(t, testProbe) }

func testProbe(t *testing.T, as sort) {
	s := newScene(t)
	as.on(t, s)
	before := s.snapshot(t)
	var l net.Listener
	if err := s.remote.Do(t.Context(), func() (err error) {
		l, err = net.Listen("tcp", "10.9.0.2:0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for probe, reached := range map[string]bool{
		"gateway": true, "arp:10.0.0.1": true, "tcp:" + l.Addr().String(): true,
		"arp:10.0.0.99": false, "tcp:10.9.0.2:1": false,
	} {
		s.plan.Probe = probe
		ended := guarded(t, &s.plan, time.Hour)
		if !reached {
			s.plan.Confirm = time.Second
		}
		_, err := uplink.Move(t.Context(), s.plan)
		if (err == nil) != reached {
			t.Errorf("%s: %v", probe, err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if reached {
			undoAll(t, s)
		}
		s.unchanged(t, before)
	}
	for _, wrong := range []string{"gate", "arp:", "arp:fd00::1", "tcp:10.0.0.1", "tcp::22"} {
		s.plan.Probe = wrong
		if _, err := uplink.Move(t.Context(), s.plan); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

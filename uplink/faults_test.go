//go:build linux

package uplink_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/uplink"
)

// scenes are a plain host, of which every step fails, and one with all sorts of addresses and routes.
var scenes = map[string]struct {
	prepare func(*scene, *testing.T)
	each    func(t *testing.T, with func(context.Context, fault.Injector) context.Context, do func(context.Context) error) int
}{
	"plain": {func(s *scene, t *testing.T) {}, everyStep},
	"rich":  {(*scene).richly, contract.SomeSteps},
	"bridge there": {func(s *scene, t *testing.T) {
		if s.db != nil {
			s.bridgeOnSwitch(t)
			return
		}
		ip(t, s.host, "link add br0 address 02:00:00:00:00:0b type bridge", "link set br0 alias theirs up",
			"link add p1 type veth peer name p2", "link set p2 up", "link set p1 master br0 up")
		sysctl(t, s.host, "net.ipv6.conf.br0.accept_ra=0", "net.ipv4.conf.br0.rp_filter=1")
		atRest(t, s.host)
	}, contract.SomeSteps},
}

// everyStep is contract.SomeSteps of all steps.
func everyStep(t *testing.T, with func(context.Context, fault.Injector) context.Context, do func(context.Context) error) int {
	return contract.EveryStep(t, func(ctx context.Context) error {
		return do(with(ctx, func(step string) error { return fault.Step(ctx, step) }))
	})
}

// TestFaults fails every step of a move and of an undo: before or done, and after a failed undo the
// next one does it.
func TestFaults(t *testing.T) { sorts(t, testFaults) }

func testFaults(t *testing.T, as sort) {
	for name, sc := range scenes {
		if as.ovs {
			if sc.each = contract.SomeSteps; name == "rich" {
				continue // what moves is as with a bridge of Linux
			}
		}
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			as.on(t, s)
			sc.prepare(s, t)
			before := s.snapshot(t)
			n := sc.each(t, fault.With, func(ctx context.Context) error {
				_, err := uplink.Move(ctx, s.plan)
				if err != nil {
					s.unchanged(t, before)
					return err
				}
				if _, err := uplink.Undo(t.Context(), s.plan); err != nil {
					t.Error(err)
				}
				s.unchanged(t, before)
				return nil
			})
			t.Logf("a move has %d steps", n)
			n = sc.each(t, fault.With, func(ctx context.Context) error {
				if _, err := uplink.Move(t.Context(), s.plan); err != nil {
					t.Fatal(err)
				}
				_, err := uplink.Undo(ctx, s.plan)
				if err != nil {
					if _, again := uplink.Undo(t.Context(), s.plan); again != nil {
						t.Errorf("%v, and again: %v", err, again)
					}
				}
				s.unchanged(t, before)
				return err
			})
			t.Logf("an undo has %d steps", n)
			nstest.Ping(t, s.remote.Handle, "10.0.0.2")
		})
	}
}

// TestKilled stops a move, and an undo, before every step, as SIGKILL does: an undo makes the host
// what it was, and so does a move that goes on.
func TestKilled(t *testing.T) { sorts(t, testKilled) }

func testKilled(t *testing.T, as sort) {
	for name, sc := range scenes {
		if as.ovs {
			if sc.each = contract.SomeSteps; name != "plain" {
				continue // what moves is as with a bridge of Linux, and TestFaults has one that is there
			}
		}
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			as.on(t, s)
			sc.prepare(s, t)
			before := s.snapshot(t)
			sc.each(t, fault.Kill, func(ctx context.Context) error {
				_, err := uplink.Move(ctx, s.plan)
				undoAll(t, s)
				s.unchanged(t, before)
				return err
			})
			sc.each(t, fault.Kill, func(ctx context.Context) error {
				if _, err := uplink.Move(t.Context(), s.plan); err != nil {
					t.Fatal(err)
				}
				_, err := uplink.Undo(ctx, s.plan)
				if err != nil {
					undoAll(t, s)
				}
				s.unchanged(t, before)
				return err
			})
			contract.SomeSteps(t, fault.Kill, func(ctx context.Context) error {
				_, err := uplink.Move(ctx, s.plan)
				if _, again := uplink.Move(t.Context(), s.plan); again != nil {
					t.Errorf("%v, and again: %v", err, again)
				}
				undoAll(t, s)
				s.unchanged(t, before)
				return err
			})
			nstest.Ping(t, s.remote.Handle, "10.0.0.2")
		})
	}
}

// undoAll undoes what there is to undo.
func undoAll(t *testing.T, s *scene) {
	t.Helper()
	if _, err := uplink.Undo(t.Context(), s.plan); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

//go:build linux

// Package nstest gives tests throwaway guests in a sandbox of their own, and
// compares the whole of it before and after.
package nstest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// Main runs a package's tests in a sandbox; call it from TestMain. Where the
// machine does not permit one, the tests are skipped with the reason, unless
// PIPEWORK_REQUIRE promises the lane "userns". What long is for says [Split].
func Main(m *testing.M, long ...string) {
	sandbox.GuestMain()
	Split(m, nil, long...)
	Enter("userns")
	os.Exit(runClean(m))
}

// MainRoot is Main for packages with tests that need the machine's root: where
// root calls it, the sandbox has no user namespace. See [sandbox.IsRoot].
func MainRoot(m *testing.M, long ...string) {
	sandbox.GuestMain()
	Split(m, nil, long...)
	EnterRoot("userns")
	os.Exit(runClean(m))
}

// EnterRoot is what MainRoot does before it runs the tests, for a lane of this name.
func EnterRoot(lane string) {
	if sandbox.IsRoot() {
		enter(lane, sandbox.EnterAsRoot)
	} else {
		Enter(lane)
	}
}

// Enter is what Main does before it runs the tests, for a lane of this name.
func Enter(lane string) { enter(lane, sandbox.Enter) }

func enter(lane string, by func() error) {
	sandbox.GuestMain()
	if err := by(); err != nil {
		fmt.Fprintf(os.Stderr, "skip lane %s: %v\n", lane, err)
		if Required(lane) || os.Getenv("PIPEWORK_LANE") != "" { // a lane is there to be used
			os.Exit(1)
		}
		os.Exit(0)
	}
	runtime.LockOSThread() // of the first thread, by which /proc tells where the process is: none of a test's is left in a guest
	Chosen()
	Ran(lane)
}

// Required says whether PIPEWORK_REQUIRE, a list with commas, names the lane:
// then a test that cannot run in it must fail.
func Required(lane string) bool {
	return slices.Contains(strings.Split(os.Getenv("PIPEWORK_REQUIRE"), ","), lane)
}

// Ran notes in the file that PIPEWORK_RAN names that a package's tests run in
// the lane, for the closing lines of make test.
func Ran(lane string) {
	path := os.Getenv("PIPEWORK_RAN")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err == nil {
		_, err = fmt.Fprintln(f, lane)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var count atomic.Int64

// Guest makes a named network namespace for the length of the test, and opens
// it.
func Guest(t testing.TB) (ns.Named, *ns.Guest) {
	t.Helper()
	CleanHost(t)
	name := fmt.Sprintf("g%d", count.Add(1))
	remove, err := sandbox.Namespace(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pairs := pairsOf(t, ns.Named(name))
		must(t, remove())
		gone(t, pairs)
	})
	g, err := sandbox.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, g.Close()) })
	return ns.Named(name), g
}

// Process starts a guest that has a process, for the length of the test.
func Process(t testing.TB) *sandbox.Process {
	t.Helper()
	CleanHost(t)
	p, err := sandbox.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pairs := pairsOf(t, ns.PID(p.PID))
		_ = p.Kill()
		gone(t, pairs)
	})
	return p
}

// Ping fails the test unless an address answers, in time: what forwards the frames
// may be a process that waits for its turn.
func Ping(t testing.TB, from *ns.Handle, to string) {
	t.Helper()
	if err := ping(t, from, to, testwait.Patience); err != nil {
		t.Error(err)
	}
}

// NoPing fails the test if an address answers within half a second.
func NoPing(t testing.TB, from *ns.Handle, to string) {
	t.Helper()
	if err := ping(t, from, to, 500*time.Millisecond); err == nil {
		t.Errorf("%s answers, and must not", to)
	}
}

func ping(t testing.TB, from *ns.Handle, to string, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	_, err := sandbox.Ping(ctx, from, netip.MustParseAddr(to))
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// Ended waits until a process that was killed has ended.
func Ended(t testing.TB, pid int) {
	t.Helper()
	testwait.Eventually(t, fmt.Sprint("process ", pid, " ends"), func() bool {
		_, err := ns.PID(pid).Open(context.Background())
		return errors.Is(err, os.ErrNotExist)
	})
}

//go:build linux

package ns_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns"
)

func TestTargetsThatAreNotThere(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	stale := "/run/netns/stale"
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(stale) })
	dead := nstest.Process(t)
	_ = dead.Kill()
	for _, test := range []struct {
		name   string
		target ns.Target
		class  error
		text   string
	}{
		{"dead process", ns.PID(dead.PID), fs.ErrNotExist, "no process has PID"},
		{"no such PID", ns.PID(1 << 22), fs.ErrNotExist, "no process has PID 4194304"},
		{"PID 0", ns.PID(0), fs.ErrNotExist, "no process has PID 0"},
		{"negative PID", ns.PID(-5), fs.ErrNotExist, "no process has PID -5"},
		{"file", ns.Path("/etc/passwd"), fs.ErrInvalid, "/etc/passwd is no network namespace"},
		{"folder", ns.Path(dir), fs.ErrInvalid, "is no network namespace"},
		{"pipe", ns.Path(fifo), fs.ErrInvalid, "is no network namespace"},
		{"other namespace", ns.Path("/proc/self/ns/mnt"), fs.ErrInvalid, "/proc/self/ns/mnt is no network namespace"},
		{"no file", ns.Path("/no/such"), fs.ErrNotExist, "no network namespace at /no/such"},
		{"below a file", ns.Path("/etc/passwd/x"), fs.ErrNotExist, "no network namespace at"},
		{"no name", ns.Named("nosuch"), fs.ErrNotExist, `no network namespace is named "nosuch"`},
		{"empty name", ns.Named(""), fs.ErrInvalid, "cannot be the name"},
		{"path as name", ns.Named("../../proc/self/ns/net"), fs.ErrInvalid, "cannot be the name"},
		{"dots", ns.Named(".."), fs.ErrInvalid, "cannot be the name"},
		{"stale name", ns.Named("stale"), fs.ErrNotExist, "ip netns del stale"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, err := test.target.Open(t.Context())
			if err == nil {
				_ = g.Close()
				t.Fatal("opened")
			}
			if !errors.Is(err, test.class) || !strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want %q, a %v", err, test.text, test.class)
			}
		})
	}
}

func TestThreadIsNoProcess(t *testing.T) {
	tid := make(chan int)
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tid <- syscall.Gettid()
		<-done
	}()
	defer close(done)
	if _, err := ns.PID(<-tid).Open(t.Context()); err == nil {
		t.Error("a thread's number was taken for a process")
	}
}

// TestNeedsPrivilege is what an ordinary user is told: the sandbox's root may
// neither look into nor enter the namespaces of processes outside.
func TestNeedsPrivilege(t *testing.T) {
	_, err := ns.PID(os.Getppid()).Open(t.Context())
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "CAP_SYS_PTRACE") {
		t.Errorf("open a process outside of the sandbox: %v", err)
	}
}

func TestAlive(t *testing.T) {
	p := nstest.Process(t)
	g, err := ns.PID(p.PID).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	if err := g.Alive(); err != nil {
		t.Error(err)
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if err := g.Alive(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after its end: %v", err)
	}
}

func TestDo(t *testing.T) {
	_, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	home, err := ns.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = home.Close() }()
	err = g.Do(t.Context(), func() error {
		inside, err := ns.Current()
		if err != nil {
			return err
		}
		defer func() { _ = inside.Close() }()
		if inside.Inode() != g.Inode() || inside.Inode() == home.Inode() {
			t.Errorf("Do runs in %v, the guest is %v", inside.Inode(), g.Inode())
		}
		return fs.ErrClosed
	})
	if !errors.Is(err, fs.ErrClosed) {
		t.Errorf("the function's error got lost: %v", err)
	}
	if err := g.Do(t.Context(), func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("a function that ends its goroutine is no error")
	}
	_ = home.Close()
	world.Unchanged(t)
}

func TestCancelledBeforeItBegins(t *testing.T) {
	_, g := nstest.Guest(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Do(ctx, func() error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := ns.PID(os.Getpid()).Open(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestLock has two handles of one namespace, as two processes have.
func TestLock(t *testing.T) {
	name, g := nstest.Guest(t)
	other, err := name.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	unlock, err := g.Lock(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error)
	go func() {
		unlock, err := other.Lock(t.Context(), time.Minute)
		if err == nil {
			unlock()
		}
		waited <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.RLock(ctx, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("a lock that somebody holds: %v", err)
	}
	select {
	case <-waited:
		t.Fatal("two hold the lock")
	default:
	}
	unlock()
	if err := <-waited; err != nil {
		t.Error(err)
	}
	first, err := g.RLock(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	second, err := other.RLock(t.Context(), time.Minute)
	if err != nil {
		t.Error("readers exclude each other:", err)
	}
	first()
	second()
}

// TestLockIsRoots has somebody hold the namespace's own file, as a guest can: root does
// not wait. A file of locks that others can open, and hold, is not used.
func TestLockIsRoots(t *testing.T) {
	name, g := nstest.Guest(t)
	f, err := os.Open("/run/netns/" + string(name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	unlock, err := g.Lock(t.Context(), 0)
	if err != nil {
		t.Fatal("somebody else's flock keeps root waiting:", err)
	}
	if _, err := g.Lock(t.Context(), 0); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errs.ErrCommonLock) {
		t.Error("root's own lock, held by root:", err)
	}
	unlock()
	if err := os.Chmod("/run/pipework.lock", 0o666); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod("/run/pipework.lock", 0o600) }()
	if _, err := g.Lock(t.Context(), 0); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errs.ErrCommonLock) {
		t.Error("a file that everybody can open is used:", err)
	}
}

func TestAgain(t *testing.T) {
	p := nstest.Process(t)
	g, err := ns.PID(p.PID).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := g.Again().Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if second.Identity != g.Identity || second.Inode() != g.Inode() {
		t.Errorf("opened %+v again as %+v", g.Identity, second.Identity)
	}
	again := g.Again()
	_ = g.Close()
	if err := second.Alive(); err != nil {
		t.Error("it ended with the first:", err)
	}
	if _, err := again.Open(t.Context()); err == nil {
		t.Error("opened what is closed")
	}
	again = second.Again()
	_ = p.Kill()
	if _, err := again.Open(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Error("opened the dead:", err)
	}
	_ = second.Close()
}

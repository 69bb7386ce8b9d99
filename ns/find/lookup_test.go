//go:build linux

package find

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns"
)

// A said is a place's answer: an error, or this guest.
type said struct {
	err   error
	guest ns.Target
	id    string
	hang  bool
}

func (s said) Open(ctx context.Context) (*ns.Guest, error) {
	if s.hang {
		<-ctx.Done()
		return nil, fmt.Errorf("the engine does not answer: %w", context.Cause(ctx))
	}
	if s.guest == nil {
		return nil, s.err
	}
	g, err := s.guest.Open(ctx)
	if err == nil {
		g.ID = s.id
	}
	return g, err
}

var (
	unknown = said{err: errs.Unknown("nobody of this name")}
	absent  = said{err: errs.Absent(syscall.ECONNREFUSED, "not here")}
	off     = said{err: errs.New(syscall.ECONNREFUSED, "no engine at X")}
	exited  = said{err: errs.New(fs.ErrNotExist, "container web has exited")}
	twice   = said{err: errs.New(fs.ErrInvalid, "begins two IDs")}
	noName  = said{err: errs.NoName("cannot be")}
	nowhere = said{err: errs.NoAddress("%q is no engine's address", "garbage")}
	unasked = said{err: errs.New(errs.ErrUnasked, "%w", errs.New(fs.ErrInvalid, "the version is none"))}
	denied  = said{err: errs.New(fs.ErrPermission, "permission denied at Y")}
	hung    = said{hang: true}
)

func TestChoose(t *testing.T) {
	nameA, _ := nstest.Guest(t)
	nameB, _ := nstest.Guest(t)
	a, b, a2 := said{guest: nameA}, said{guest: nameB, id: "ns/web"}, said{guest: nameA}
	host := said{guest: ns.Path("/proc/thread-self/ns/net")}
	for _, row := range []struct {
		name    string
		answers map[string]said // others are absent
		want    ns.Target
		class   error
		text    string
	}{
		{"only docker", map[string]said{"docker": a, "lxc": unknown, "netns": noName}, nameA, nil, ""},
		{"docker and its own group", map[string]said{"docker": a, "containerd": a2, "cgroup": a2}, nameA, nil, ""},
		{"docker and lxc", map[string]said{"docker": a, "lxc": b}, nil, fs.ErrInvalid, `several guests are called "web": say which: docker:web, lxc:web`},
		{"docker and containerd", map[string]said{"docker": a, "containerd": b}, nil, fs.ErrInvalid, `several guests are called "web": say which: docker:web, containerd:ns/web`},
		{"one of two does not run", map[string]said{"docker": exited, "lxc": b}, nil, fs.ErrInvalid, `several guests are called "web": say which: docker:web, lxc:web`},
		{"docker and a group of the host", map[string]said{"docker": a, "cgroup": host}, nameA, nil, ""},
		{"docker and an empty group", map[string]said{"docker": a, "cgroup": exited}, nameA, nil, ""},
		{"docker and several groups", map[string]said{"docker": a, "cgroup": twice}, nil, fs.ErrInvalid, `several guests are called "web": say which: docker:web, cgroup:web`},
		{"several of one kind, with a group", map[string]said{"containerd": twice, "cgroup": b}, nil, fs.ErrInvalid, "begins two IDs"},
		{"does not run", map[string]said{"docker": exited, "lxc": unknown}, nil, fs.ErrNotExist, "container web has exited"},
		{"several of one kind", map[string]said{"docker": twice}, nil, fs.ErrInvalid, "begins two IDs"},
		{"nowhere", map[string]said{"docker": unknown, "lxc": unknown, "cgroup": noName}, nil, fs.ErrNotExist, `no guest is called "web": looked in docker, lxc, cgroup; not on this machine: podman, containerd, machine, netns`},
		{"engine down", map[string]said{"docker": off, "lxc": unknown}, nil, syscall.ECONNREFUSED, `no engine at X; no guest is called "web" elsewhere: looked in lxc; not on this machine: podman, containerd, machine, netns, cgroup`},
		{"another engine down", map[string]said{"docker": a, "podman": off}, nameA, nil, ""},
		{"another engine's address is none", map[string]said{"docker": nowhere, "podman": a}, nameA, nil, ""},
		{"an engine's address is none", map[string]said{"docker": nowhere, "lxc": unknown}, nil, fs.ErrInvalid, `"garbage" is no engine's address; no guest is called "web" elsewhere: looked in lxc; not on this machine: podman, containerd, machine, netns, cgroup`},
		{"another engine is not asked", map[string]said{"docker": unasked, "lxc": a}, nil, fs.ErrInvalid, `docker may have a "web" too, and does not say: write lxc:web if you mean that (the version is none)`},
		{"denied", map[string]said{"containerd": denied, "lxc": unknown}, nil, fs.ErrPermission, `permission denied at Y; no guest is called "web" elsewhere: looked in lxc; not on this machine: docker, podman, machine, netns, cgroup`},
		{"another denied", map[string]said{"docker": a, "containerd": denied}, nil, fs.ErrPermission, `containerd may have a "web" too, and does not say: write docker:web if you mean that (permission denied at Y)`},
		{"hung", map[string]said{"docker": hung, "lxc": unknown}, nil, context.DeadlineExceeded, `the engine does not answer: waited 300ms; no guest is called "web" elsewhere: looked in lxc; not on this machine: podman, containerd, machine, netns, cgroup`},
		{"two do not say", map[string]said{"docker": hung, "podman": off, "lxc": unknown}, nil, context.DeadlineExceeded, `the engine does not answer: waited 300ms, no engine at X; no guest is called "web" elsewhere: looked in lxc; not on this machine: containerd, machine, netns, cgroup`},
		{"another hung", map[string]said{"docker": a, "podman": hung}, nil, context.DeadlineExceeded, `podman may have a "web" too, and does not say: write docker:web if you mean that (the engine does not answer: waited 300ms)`},
		{"no name for anybody", map[string]said{"docker": noName, "podman": noName, "containerd": noName, "lxc": noName, "machine": noName, "netns": noName, "cgroup": noName}, nil, fs.ErrInvalid, `"web" cannot be a guest's name: those are plain words, as web is`},
	} {
		t.Run(row.name, func(t *testing.T) {
			var faked []place
			for _, p := range places {
				answer, ok := row.answers[string(p.kind)]
				if !ok {
					answer = absent
				}
				faked = append(faked, place{p.kind, func(string) ns.Target { return answer }})
			}
			start := time.Now()
			patience := 10 * time.Second
			if strings.Contains(row.text, "waited") {
				patience = 300 * time.Millisecond
			}
			g, err := lookUp(t.Context(), Name{Name: "web", Patience: patience}, faked)
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if row.want != nil {
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = g.Close() }()
				want, err := row.want.Open(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = want.Close() }()
				if g.Inode() != want.Inode() {
					t.Errorf("opened %v, want %v", g.Inode(), want.Inode())
				}
				return
			}
			if err == nil || err.Error() != row.text {
				t.Errorf("error:\n%v, want\n%v", err, row.text)
			}
			for _, c := range []error{fs.ErrNotExist, fs.ErrInvalid, fs.ErrPermission, syscall.ECONNREFUSED, context.DeadlineExceeded} {
				if errors.Is(err, c) != errors.Is(row.class, c) {
					t.Errorf("%v: errors.Is(%v): %v", err, c, errors.Is(err, c))
				}
			}
		})
	}
}

// TestCancelled: the caller's end is the lookup's, whatever hangs.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := lookUp(ctx, Name{Name: "web"}, []place{{"docker", func(string) ns.Target { return hung }}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestFast: what a machine does not have costs nothing.
func TestFast(t *testing.T) {
	named, _ := nstest.Guest(t)
	best := time.Hour
	for range 20 {
		start := time.Now()
		g, err := Guest(string(named)).Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
		_ = g.Close()
	}
	t.Logf("a bare name: %v", best)
	if best > 100*time.Millisecond {
		t.Errorf("a bare name takes %v", best)
	}
}

func TestKinds(t *testing.T) {
	named, g := nstest.Guest(t)
	p := nstest.Process(t)
	for word, same := range map[string]bool{
		"netns:" + string(named):            true,
		"netns:/run/netns/" + string(named): true,
		"/run/netns/" + string(named):       true,
		string(named):                       true,
		fmt.Sprintf("pid:%d", p.PID):        false,
	} {
		got, err := Guest(word).Open(t.Context())
		if err != nil {
			t.Errorf("%s: %v", word, err)
			continue
		}
		if (got.Inode() == g.Inode()) != same {
			t.Errorf("%s opened %+v", word, got.Identity)
		}
		_ = got.Close()
	}
	for word, want := range map[string]string{
		"path:web":   `"path:web": no kind of guest is called "path": they are docker, podman, containerd, lxc, machine, netns, cgroup, pid`,
		"dokcer:web": `"dokcer:web": no kind of guest is called "dokcer": they are docker, podman, containerd, lxc, machine, netns, cgroup, pid`,
		"pid:01":     `"01" is no PID: write a number, as in pid:1234`,
		"pid:+1":     `"+1" is no PID: write a number, as in pid:1234`,
		"netns:w*":   `"w*" cannot be the name of a network namespace here: give its path, as in netns:/run/netns/blue`,
	} {
		if _, err := Guest(word).Open(t.Context()); err == nil || err.Error() != want || !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", word, err)
		}
	}
}

// A latecomer is there from the n-th time it is looked for.
type latecomer struct {
	n     *int
	guest ns.Target
	err   error
}

func (l latecomer) Open(ctx context.Context) (*ns.Guest, error) {
	if *l.n--; *l.n > 0 {
		return nil, l.err
	}
	return l.guest.Open(ctx)
}

func TestWait(t *testing.T) {
	named, _ := nstest.Guest(t)
	n := 3
	g, err := Wait{latecomer{&n, named, exited.err}, 10 * time.Second}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = g.Close()

	n = 1000
	_, err = Wait{latecomer{&n, named, exited.err}, 50 * time.Millisecond}.Open(t.Context())
	if err == nil || err.Error() != "waited 50ms for the guest: container web has exited" || !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too late: %v", err)
	}

	n = 1000
	if _, err = (Wait{latecomer{&n, named, denied.err}, 10 * time.Second}).Open(t.Context()); !errors.Is(err, fs.ErrPermission) || n != 999 {
		t.Errorf("nothing to wait for: %v, looked %d times", err, 1000-n)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	n = 1000
	if _, err = (Wait{latecomer{&n, named, exited.err}, 10 * time.Second}).Open(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("given up: %v", err)
	}
}

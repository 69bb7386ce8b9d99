//go:build linux

package find_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
)

// roots are where this machine has control groups of the versions that count.
var roots = map[string]string{"v1": "/sys/fs/cgroup/devices", "v2": "/sys/fs/cgroup/unified"}

// mountGroups makes the machine one that has these versions, and no other, for the
// length of the test.
func mountGroups(t *testing.T, versions ...string) (dirs []string) {
	t.Helper()
	if err := unix.Mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount("/sys/fs/cgroup", unix.MNT_DETACH) })
	for _, v := range versions {
		dir, fstype, options := roots[v], "cgroup", "devices"
		if v == "v2" {
			fstype, options = "cgroup2", ""
		}
		if len(versions) == 1 && v == "v2" {
			dir = "/sys/fs/cgroup"
		} else if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("cgroup", dir, fstype, 0, options); err != nil {
			t.Fatalf("mount %s: %v", v, err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		dirs = append(dirs, dir)
	}
	return dirs
}

// group makes a control group in each of the hierarchies, for the test.
func group(t *testing.T, tops []string, path string) {
	t.Helper()
	for _, top := range tops {
		if err := os.MkdirAll(filepath.Join(top, path), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for p := path; p != "."; p = filepath.Dir(p) { // a parent that has other groups stays
				_ = os.Remove(filepath.Join(top, p))
			}
		})
	}
}

// enter starts a guest and puts it into the group.
func enter(t *testing.T, tops []string, path string) *sandbox.Process {
	t.Helper()
	p := nstest.Process(t)
	for _, top := range tops {
		if err := os.WriteFile(filepath.Join(top, path, "cgroup.procs"), fmt.Append(nil, p.PID), 0); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestCgroup(t *testing.T) {
	runtimetest.Require(t, "cgroup")
	for name, versions := range map[string][]string{"version 1": {"v1"}, "version 2": {"v2"}, "hybrid": {"v1", "v2"}} {
		t.Run(name, func(t *testing.T) {
			tops := mountGroups(t, versions...)
			group(t, tops, "lxc/fweb.scope")
			group(t, tops, "lxc/lxc.monitor.fweb/fweb.scope")
			fails(t, "cgroup:fweb.scope", fs.ErrNotExist, "/lxc/fweb.scope has no process")
			fails(t, "cgroup:fweb", fs.ErrNotExist, `no control group is named "fweb"`)
			fails(t, "cgroup:lxc.monitor.fweb", fs.ErrNotExist, `no control group is named "lxc.monitor.fweb"`)
			p := enter(t, tops, "lxc/fweb.scope")
			enter(t, tops, "lxc/lxc.monitor.fweb/fweb.scope")
			restart := func() {
				_ = p.Kill()
				p = enter(t, tops, "lxc/fweb.scope")
			}
			lane{words: []string{"fweb.scope", "cgroup:fweb.scope"}, id: ns.Identity{Name: "fweb.scope"}, restart: restart}.drive(t)
			if g := (lane{id: ns.Identity{Name: "fweb.scope"}}).opened(t, "fweb.scope"); g.PID != p.PID {
				t.Errorf("opened process %d, want %d", g.PID, p.PID)
			}

			// The first process of several, and one in a group below.
			enter(t, tops, "lxc/fweb.scope")
			if g := (lane{id: ns.Identity{Name: "fweb.scope"}}).opened(t, "fweb.scope"); g.PID != p.PID {
				t.Errorf("opened process %d of two, want the first, %d", g.PID, p.PID)
			}
			group(t, tops, "lxc/box/init.scope")
			q := enter(t, tops, "lxc/box/init.scope")
			if g := (lane{id: ns.Identity{Name: "box"}}).opened(t, "cgroup:box"); g.PID != q.PID {
				t.Errorf("opened process %d, want %d", g.PID, q.PID)
			}

			// The parent of other guests' groups is none.
			fails(t, "cgroup:lxc", fs.ErrNotExist, "/lxc has no process")
			fails(t, "lxc", fs.ErrNotExist, "/lxc has no process")

			// Another user's group of that name does not count, another of root's does.
			group(t, tops, "user/fweb.scope")
			enter(t, tops, "user/fweb.scope")
			fails(t, "cgroup:fweb.scope", fs.ErrInvalid, "several guests have a control group named")
			fails(t, "fweb.scope", fs.ErrInvalid, "several guests have a control group named")
			for _, top := range tops {
				if err := os.Chown(filepath.Join(top, "user/fweb.scope"), 1000, 1000); err != nil {
					t.Fatal(err)
				}
			}
			if g := (lane{id: ns.Identity{Name: "fweb.scope"}}).opened(t, "fweb.scope"); g.PID != p.PID {
				t.Errorf("opened process %d, want root's, %d", g.PID, p.PID)
			}
		})
	}
}

// TestCgroupOfHost: a group of the host's own processes is a guest only by its
// full name, and then plugging in is refused.
func TestCgroupOfHost(t *testing.T) {
	runtimetest.Require(t, "cgroup")
	tops := mountGroups(t, "v1", "v2")
	group(t, tops, "jobs")
	out, err := runtimetest.Try(t, "sh", "-c", fmt.Sprintf("echo $$ >%s/jobs/cgroup.procs && echo $$ >%s/jobs/cgroup.procs && exec %s br9 jobs 0/0", tops[0], tops[1], build(t)))
	if err == nil || out != "pipework: attach eth1 (jobs): the guest uses the host's own network: plugging it in would reconfigure the host (only a spec with allow_host permits it)" {
		t.Errorf("%v: %s", err, out)
	}
}

// BenchmarkCgroup looks for a group among a thousand.
func BenchmarkCgroup(b *testing.B) {
	for i := range 250 {
		for _, top := range roots {
			dir := filepath.Join(top, fmt.Sprintf("bench/b%d/a", i))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = os.Remove(filepath.Dir(dir)) })
			b.Cleanup(func() { _ = os.Remove(dir) })
		}
	}
	for b.Loop() {
		if _, err := find.Guest("cgroup:nosuch").Open(b.Context()); !errors.Is(err, fs.ErrNotExist) {
			b.Fatal(err)
		}
	}
}

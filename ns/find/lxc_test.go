//go:build linux

package find_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
	"github.com/go-pipework/pipework/ns/lxc"
)

// makeLXC makes a container in a directory, which is not started.
func makeLXC(t *testing.T, dir, name string) {
	t.Helper()
	config := fmt.Sprintf("lxc.uts.name = %s\nlxc.rootfs.path = dir:%s\nlxc.init.cmd = /bin/sleep 100000\nlxc.net.0.type = empty\nlxc.apparmor.profile = unconfined\n", name, runtimetest.Rootfs(t))
	path := filepath.Join(dir, name, "config")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(path)) })
}

func startLXC(t *testing.T, dir, name string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	if out, err := runtimetest.Try(t, "lxc-start", "-P", dir, "-n", name, "-d", "-l", "DEBUG", "-o", log); err != nil {
		text, _ := os.ReadFile(log)
		t.Fatalf("lxc-start: %v\n%s\n%s", err, out, text)
	}
	t.Cleanup(func() { _, _ = runtimetest.Try(t, "lxc-stop", "-P", dir, "-n", name, "-k") })
}

func TestLXC(t *testing.T) {
	runtimetest.Require(t, "lxc", "lxc-start", "busybox")
	const dir = "/var/lib/lxc"
	makeLXC(t, dir, "fdb")
	fails(t, "lxc:fdb", fs.ErrNotExist, "container fdb is stopped: start it with lxc-start fdb")
	fails(t, "fdb", fs.ErrNotExist, "container fdb is stopped: start it with lxc-start fdb")
	fails(t, "lxc:fweb", fs.ErrNotExist, `no container "fweb": see lxc-ls`)
	startLXC(t, dir, "fdb")
	lane{
		words: []string{"fdb", "lxc:fdb"},
		id:    ns.Identity{Name: "fdb"},
		restart: func() {
			runtimetest.Run(t, "lxc-stop", "-P", dir, "-n", "fdb", "-k")
			startLXC(t, dir, "fdb")
		},
	}.drive(t)
	hungMonitor(t)
	fails(t, "cgroup:lxc.monitor.fdb", fs.ErrNotExist, `no control group is named "lxc.monitor.fdb"`)
}

// hungMonitor: a monitor that does not answer costs the time that is given, and its
// container is not taken for stopped.
func hungMonitor(t *testing.T) {
	t.Helper()
	fdb := lane{id: ns.Identity{Name: "fdb"}}.opened(t, "lxc:fdb")
	monitor, err := strconv.Atoi(runtimetest.Run(t, "sed", "-n", "s/^PPid:[[:space:]]*//p", fmt.Sprintf("/proc/%d/status", fdb.PID)))
	if err != nil || monitor < 2 {
		t.Fatalf("its monitor is process %d: %v", monitor, err)
	}
	if err := sandbox.Stop(monitor); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Kill(monitor, unix.SIGCONT) }()
	_, err = find.Name{Name: "fdb", Patience: time.Second}.Open(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), `the monitor of container fdb does not answer: waited 1s; no guest is called "fdb" elsewhere: looked in `) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestLXCElsewhere: a container of another directory is found by its control
// group, and, where the directory is said, by its socket, however long its name.
func TestLXCElsewhere(t *testing.T) {
	runtimetest.Require(t, "lxc", "lxc-start", "busybox")
	for _, length := range []int{104, 105, 106, 130} { // of the socket's name
		t.Run(fmt.Sprint(length), func(t *testing.T) { lxcElsewhere(t, length) })
	}
}

func lxcElsewhere(t *testing.T, length int) {
	dir := t.TempDir()
	dir += "/" + strings.Repeat("d", length-len(dir+"//far/command"))
	makeLXC(t, dir, "far")
	startLXC(t, dir, "far")
	lane{id: ns.Identity{Name: "far"}}.opened(t, "far")
	ctx := fault.With(t.Context(), func(step string) error {
		if step == "search control groups" {
			return fmt.Errorf("its socket was not found")
		}
		return nil
	})
	g, err := lxc.Dir(dir).Container("far").Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = g.Close()
}

// TestLXCForged: anybody may answer at the socket of a container's name.
func TestLXCForged(t *testing.T) {
	runtimetest.Require(t, "lxc", "lxc-start", "busybox")
	pose(t, 65534, 1)
	fails(t, "lxc:bank", fs.ErrPermission, "its socket belongs to user 65534")
	fails(t, "bank", fs.ErrNotExist, `no guest is called "bank": looked in lxc`)
}

// TestLXCForgedByRoot is root of a container that shares the host's network and users.
func TestLXCForgedByRoot(t *testing.T) {
	runtimetest.Require(t, "lxc", "lxc-start", "busybox")
	pose(t, 0, nstest.Process(t).PID)
	fails(t, "lxc:bank", fs.ErrPermission, "is not in a control group of the container")
	fails(t, "bank", fs.ErrNotExist, `no guest is called "bank": looked in lxc`)
}

// TestLXCForgedSilence: who may not speak for a container makes its name known neither by
// saying nothing nor by saying that it is starting.
func TestLXCForgedSilence(t *testing.T) {
	runtimetest.Require(t, "lxc", "lxc-start", "busybox")
	for _, pid := range []int{silent, 0, -1} {
		t.Run(fmt.Sprint(pid), func(t *testing.T) {
			pose(t, 0, pid)
			fails(t, "lxc:bank", fs.ErrNotExist, "is starting or stopping")
			fails(t, "bank", fs.ErrNotExist, `no guest is called "bank": looked in lxc`)
		})
	}
}

// silent is a first process that is not said.
const silent = 1 << 31

// pose answers as a user in the name of the container bank, for the length of the test, that
// a process is its first.
func pose(t *testing.T, uid uintptr, pid int) {
	t.Helper()
	answer := binary.NativeEndian.AppendUint64(make([]byte, 8), uint64(pid))
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is another user's
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
			done <- errno
			return
		}
		l, err := net.Listen("unix", "@/var/lib/lxc/bank/command")
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
		}
		done <- err
		for err == nil {
			var c net.Conn
			if c, err = l.Accept(); err == nil {
				if pid != silent {
					_, _ = io.ReadFull(c, make([]byte, 16)) // what is closed unread is a reset
					_, _ = c.Write(answer)
				}
				_ = c.Close()
			}
		}
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

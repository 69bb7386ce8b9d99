//go:build linux

package find_test

import (
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
	"github.com/go-pipework/pipework/ns"
)

func TestPodman(t *testing.T) {
	runtimetest.Podman(t, "")
	fails(t, "podman:fweb", syscall.ECONNREFUSED, "no Podman service at unix:///run/podman/podman.sock")
	if err := os.MkdirAll("/run/podman", 0o755); err != nil {
		t.Fatal(err)
	}
	runtimetest.Daemon(t, "podman", "system", "service", "-t", "0", "unix:///run/podman/podman.sock")
	runtimetest.Socket(t, "/run/podman/podman.sock")
	t.Cleanup(func() { _ = os.Remove("/run/podman/podman.sock") })
	id := runtimetest.Run(t, "podman", "create", "--name", "fweb", "--net=none", "--rootfs", runtimetest.Rootfs(t), "/bin/sleep", "100000")
	t.Cleanup(func() { runtimetest.Run(t, "podman", "rm", "-f", "-t", "0", "fweb") })
	fails(t, "podman:fweb", fs.ErrNotExist, "start it with podman start fweb")
	fails(t, "fweb", fs.ErrNotExist, "start it with podman start fweb")
	fails(t, "podman:fdb", fs.ErrNotExist, `no container "fdb": see podman ps -a`)
	runtimetest.Run(t, "podman", "start", "fweb")
	lane{
		words:   []string{"fweb", "podman:fweb", id[:12]},
		id:      ns.Identity{Name: "fweb", ID: id},
		restart: func() { runtimetest.Run(t, "podman", "restart", "-t", "0", "fweb") },
	}.drive(t)
}

// asUser gives the machine a user, and runs a program as theirs: with one number
// of their own in user namespaces, which needs no newuidmap.
func asUser(t *testing.T) (prefix []string) {
	t.Helper()
	dir := t.TempDir()
	for path, text := range map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:alice:" + dir + "/home:/bin/sh\n",
		"/etc/group":  "root:x:0:\nalice:x:1000:\n",
		"/etc/subuid": "", "/etc/subgid": "",
	} {
		own := filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(own, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := unix.Mount(own, path, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	}
	t.Cleanup(func() { _ = os.RemoveAll("/run/user/1000") })
	for _, d := range []string{dir + "/home", "/run/user/1000"} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(d, 1000, 1000); err != nil {
			t.Fatal(err)
		}
	}
	for d := dir; d != "/tmp"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--reuid=1000", "--regid=1000", "--clear-groups", "env", "-C", "/", "HOME=" + dir + "/home", "XDG_RUNTIME_DIR=/run/user/1000"}
}

func TestPodmanRootless(t *testing.T) {
	runtimetest.Require(t, "podman", "setpriv")
	runtimetest.Podman(t, "")
	user := asUser(t)
	socket := "/run/user/1000/podman/podman.sock"
	runtimetest.Run(t, "setpriv", append(user, "mkdir", "-p", filepath.Dir(socket))...)
	runtimetest.Daemon(t, "setpriv", append(user, "podman", "system", "service", "-t", "0", "unix://"+socket)...)
	runtimetest.Socket(t, socket)
	root := runtimetest.Rootfs(t)
	runtimetest.Run(t, "chown", "-R", "1000:1000", filepath.Dir(root))
	podman := func(args ...string) string {
		t.Helper()
		return runtimetest.Run(t, "setpriv", append(append(user, "podman"), args...)...)
	}
	id := podman("run", "-d", "--name", "fweb", "--net=none", "--rootfs", root, "/bin/sleep", "100000")
	t.Cleanup(func() { podman("rm", "-f", "-t", "0", "fweb") })
	lane{
		words:   []string{"podman:alice/fweb", "podman:1000/fweb"},
		id:      ns.Identity{Name: "fweb", ID: id},
		restart: func() { podman("restart", "-t", "0", "fweb") },
	}.drive(t)
}

// TestPodmanForged: a user's service may say what it likes, and gets nobody else's
// guest plugged in.
func TestPodmanForged(t *testing.T) {
	runtimetest.Require(t, "podman", "podman", "setpriv")
	asUser(t)
	victim := nstest.Process(t)
	if err := os.MkdirAll("/run/user/1000/podman", 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", "/run/user/1000/podman/podman.sock")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"Id":"%064d","Name":"fweb","State":{"Status":"running","Running":true,"Pid":%d,"StartedAt":"1"}}`, 5, victim.PID)
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	fails(t, "podman:alice/fweb", fs.ErrPermission, fmt.Sprintf("container fweb: process %d is not in a namespace of user alice: refused", victim.PID))
	fails(t, "podman:bob/fweb", fs.ErrNotExist, `no user is called "bob"`)
	fails(t, "fweb", fs.ErrNotExist, "no guest is called")
}

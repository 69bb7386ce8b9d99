//go:build linux

package find_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
)

// TestTogether is a machine with Docker on containerd, LXC and named namespaces,
// where some names are used twice.
func TestTogether(t *testing.T) {
	runtimetest.Require(t, "docker", "dockerd", "docker", "containerd", "ctr", "runc", "busybox")
	runtimetest.Require(t, "lxc", "lxc-start")
	ctr := containerd(t, "/run/containerd")
	engine := runtimetest.Daemon(t, "dockerd", "--containerd=/run/containerd/containerd.sock", "--bridge=none", "--iptables=false", "--ip6tables=false",
		"--exec-opt=native.cgroupdriver=cgroupfs", "-H", "unix:///run/docker.sock")
	testwait.Eventually(t, "dockerd answers", func() bool {
		_, err := runtimetest.Try(t, "docker", "info")
		return err == nil
	})
	root := runtimetest.Rootfs(t)
	runtimetest.Run(t, "sh", "-ec", "tar -C "+root+" -c . | docker import - box")
	run := func(name string) string {
		t.Helper()
		t.Cleanup(func() { runtimetest.Run(t, "docker", "rm", "-f", name) })
		return runtimetest.Run(t, "docker", "run", "-d", "--net=none", "--name", name, "box", "sleep", "100000")
	}

	// One guest under three roofs: Docker, its containerd, and its control group.
	id := run("fweb")
	if out := ctr("-n", "moby", "task", "ls"); !strings.Contains(out, id) {
		t.Errorf("containerd does not know it: this proves nothing\n%s", out)
	}
	fweb := lane{id: ns.Identity{Name: "fweb", ID: id}, restart: func() { runtimetest.Run(t, "docker", "restart", "-t", "0", "fweb") }}
	fweb.words = []string{"fweb", id, "docker:fweb"}
	fweb.drive(t)
	at := fweb.opened(t, "fweb")
	moby := lane{id: ns.Identity{Name: id, ID: "moby/" + id}}
	for _, word := range []string{"containerd:moby/" + id, "containerd:" + id} {
		if got := moby.opened(t, word); got.PID != at.PID {
			t.Errorf("%s is %+v", word, got)
		}
	}
	if got := (lane{id: ns.Identity{Name: id}}).opened(t, "cgroup:"+id); got.PID != at.PID {
		t.Errorf("its control group's is %+v", got)
	}
	t.Run("fast", fast)
	t.Run("wait", func(t *testing.T) { waitForDocker(t, run) })

	// Two guests of one name.
	makeLXC(t, "/var/lib/lxc", "fweb")
	fails(t, "fweb", fs.ErrInvalid, `several guests are called "fweb": say which: docker:fweb, lxc:fweb`)
	startLXC(t, "/var/lib/lxc", "fweb")
	fails(t, "fweb", fs.ErrInvalid, `several guests are called "fweb": say which: docker:fweb, lxc:fweb`)
	fweb.opened(t, "docker:fweb")
	lane{id: ns.Identity{Name: "fweb"}}.opened(t, "lxc:fweb")
	fails(t, "nosuch", fs.ErrNotExist, `no guest is called "nosuch": looked in docker, containerd, lxc, netns, cgroup; not on this machine: podman, machine`)

	// A hung engine costs its time and is told; what is asked for by kind does not wait.
	makeLXC(t, "/var/lib/lxc", "fdb")
	startLXC(t, "/var/lib/lxc", "fdb")
	if err := sandbox.Stop(engine.Process.Pid); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Process.Signal(unix.SIGCONT) }()
	start := time.Now()
	_, err := find.Name{Name: "fdb", Patience: time.Second}.Open(t.Context())
	want := `docker may have a "fdb" too, and does not say: write lxc:fdb if you mean that (the Docker engine at unix:///var/run/docker.sock does not answer: waited 1s)`
	if took := time.Since(start); err == nil || err.Error() != want || took > 10*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
	start = time.Now()
	lane{id: ns.Identity{Name: "fdb"}}.opened(t, "lxc:fdb")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("lxc:fdb took %v", took)
	}
}

// fast holds a bare name to what the engine alone takes.
func fast(t *testing.T) {
	best := map[string]time.Duration{"fweb": time.Hour, "docker:fweb": time.Hour}
	for range 50 {
		for word := range best {
			start := time.Now()
			g, err := find.Guest(word).Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			best[word] = min(best[word], time.Since(start))
			_ = g.Close()
		}
	}
	t.Logf("best of 50: %v", best)
	if best["fweb"] > best["docker:fweb"]+200*time.Millisecond {
		t.Errorf("a bare name is slow: %v", best)
	}
}

// waitForDocker runs the command before there is a container.
func waitForDocker(t *testing.T, run func(string) string) {
	host, err := ns.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	command := build(t)
	if out, err := runtimetest.Try(t, command, "--wait-guest", "300ms", "lan", "late", "10.66.0.9/24"); err == nil || !strings.HasPrefix(out, `pipework: attach eth1: waited 300ms for the guest: no guest is called "late": looked in docker`) {
		t.Errorf("%v: %s", err, out)
	}
	done := make(chan string)
	go func() {
		out, err := runtimetest.Try(t, command, "--wait-guest=20s", "lan", "late", "10.66.0.9/24")
		done <- fmt.Sprint(out, err)
	}()
	time.Sleep(100 * time.Millisecond) // it waits already, most probably
	run("late")
	if out := <-done; !strings.HasPrefix(out, "late: eth1 on bridge:lan") {
		t.Errorf("waited for: %s", out)
	}
	nstest.Ping(t, host, "10.66.0.9")
}

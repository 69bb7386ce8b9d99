//go:build linux

package dockertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

func TestMain(m *testing.M) {
	Supervise()
	os.Exit(m.Run())
}

func TestEngineHasDockersDefaults(t *testing.T) {
	before, _ := net.InterfaceByName("docker0")
	e := Start(t, Options{})
	e.Run(t, Container{Name: "web"})

	out, status := e.Exec(t, "web", "ip", "-o", "-4", "addr", "show", "eth0")
	if status != 0 || !strings.Contains(out, "172.17.") {
		t.Errorf("no eth0 on docker0: status %d: %s", status, out)
	}
	h, err := e.HostNS().Netlink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := h.LinkByName("docker0"); err != nil {
		t.Errorf("docker0 in the engine's host: %v", err)
	}
	if now, _ := net.InterfaceByName("docker0"); now != nil && (before == nil || now.Index != before.Index) && !dockerHere() {
		t.Error("the engine made docker0 on this machine")
	}
	if policy := forwardPolicy(t, e); policy != "-P FORWARD DROP" {
		t.Errorf("the engine made no firewall: %s", policy)
	}
}

// dockerHere tells whether the machine has a Docker engine of its own.
func dockerHere() bool {
	_, err := os.Stat("/var/run/docker.sock")
	return err == nil
}

func forwardPolicy(t *testing.T, e *Engine) string {
	t.Helper()
	var out []byte
	err := e.HostNS().Do(t.Context(), func() (err error) {
		out, err = exec.Command("iptables", "-S", "FORWARD").Output()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := bytes.Cut(out, []byte("\n"))
	return string(first)
}

func TestExec(t *testing.T) {
	e := Start(t, Options{})
	e.Run(t, Container{Name: "web", Network: "none", Env: []string{"A=1"}, Labels: map[string]string{"l": "v"}})

	out, status := e.Exec(t, "web", "sh", "-c", "echo $A; exit 3")
	if out != "1\n" || status != 3 {
		t.Errorf("got %q, status %d", out, status)
	}
	if out, _ := e.Exec(t, "web", "sh", "-c", "echo bad >&2"); out != "bad\n" {
		t.Errorf("standard error is %q", out)
	}
	if got := e.Inspect(t, "web").Config.Labels["l"]; got != "v" {
		t.Errorf("label l is %q", got)
	}
}

func TestEnginesAreApart(t *testing.T) {
	a, b := Start(t, Options{}), Start(t, Options{})
	a.Run(t, Container{Name: "web"})
	b.Run(t, Container{Name: "web"})
	if a.HostNS().Inode() == b.HostNS().Inode() {
		t.Error("two engines in one network namespace")
	}
}

func TestPauseAndRestart(t *testing.T) {
	e := Start(t, Options{})
	e.Run(t, Container{Name: "web", Network: "none"})
	e.Pause(t, "web")
	if !e.Inspect(t, "web").State.Paused {
		t.Error("not paused")
	}
	e.Unpause(t, "web")
	before := e.Inspect(t, "web").State.Pid
	e.Restart(t, "web")
	if e.Inspect(t, "web").State.Pid == before {
		t.Error("restarted without a new process")
	}
	e.Stop(t, "web")
	e.StartContainer(t, "web")
	e.Remove(t, "web")
}

// busyEngine starts an engine with containers in every state that is hard to
// end, and returns the numbers of its processes.
func busyEngine(t *testing.T) (*Engine, footprint) {
	t.Helper()
	e := Start(t, Options{})
	e.Run(t, Container{Name: "web"})
	e.Run(t, Container{Name: "none", Network: "none"})
	e.Run(t, Container{Name: "host", Network: "host"})
	e.Run(t, Container{Name: "joined", Network: "container:web"})
	e.Run(t, Container{Name: "crashing", Network: "none", Restart: "always", Cmd: []string{"false"}})
	e.Run(t, Container{Name: "paused", Network: "none"})
	e.Pause(t, "paused")
	return e, footprint{Dir: e.dir, Net: e.HostNS().Inode(), PIDs: tree(e.cmd.Process.Pid)}
}

func TestNothingIsLeftOver(t *testing.T) {
	Require(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	mounts, fds := mountCount(t), fdCount(t)
	var f footprint
	t.Run("engine", func(t *testing.T) {
		_, f = busyEngine(t)
		if len(f.PIDs) < 10 {
			t.Errorf("only %d processes seen: is the search broken?", len(f.PIDs))
		}
	})
	if diff := cmp.Diff([]string(nil), f.remains(t)); diff != "" {
		t.Errorf("left over:\n%s", diff)
	}
	if got := mountCount(t); got != mounts {
		t.Errorf("%d mounts, before %d", got, mounts)
	}
	if got := fdCount(t); got != fds {
		t.Errorf("%d open files, before %d", got, fds)
	}
}

// TestNothingIsLeftOverWhenKilled runs the part of a test that never gets to
// its clean-up: the process is killed with the engine running.
func TestNothingIsLeftOverWhenKilled(t *testing.T) {
	if os.Getenv("DOCKERTEST_VICTIM") != "" {
		_, f := busyEngine(t)
		_ = json.NewEncoder(os.Stdout).Encode(f)
		select {}
	}
	Require(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestNothingIsLeftOverWhenKilled$")
	cmd.Env = append(os.Environ(), "DOCKERTEST_VICTIM=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadBytes('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	var f footprint
	if err := json.Unmarshal(line, &f); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	defer func() { t.Log("left over:", f.remains(t)) }()
	testwait.Eventually(t, "nothing is left over", func() bool { return len(f.remains(t)) == 0 })
}

func TestRequireRefusesOtherUsers(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("this is root")
	}
	if missing() == "" {
		t.Error("an engine without root?")
	}
}

// A footprint is by what a dead engine would be recognised.
type footprint struct {
	Dir  string
	Net  ns.Inode
	PIDs []int
}

// remains lists what there still is of an engine: its directory, control
// groups, and processes, by number, by namespace and by control group. A
// network namespace cannot outlive its processes but by a mount, and the mounts
// end with the mount namespace, that is with the last process in it.
func (f footprint) remains(t *testing.T) (left []string) {
	t.Helper()
	if _, err := os.Stat(f.Dir); err == nil {
		left = append(left, f.Dir)
	}
	left = append(left, cgroupDirs(cgroupParent(f.Dir))...)
	for _, pid := range process.All() {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		group, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		netns, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		if strings.Contains(string(group), cgroupParent(f.Dir)) || netns == f.Net.String() || slices.Contains(f.PIDs, pid) {
			left = append(left, fmt.Sprintf("process %d (%s)", pid, bytes.TrimSpace(comm)))
		}
	}
	return left
}

// tree lists a process and everything that descends from it.
func tree(root int) []int {
	pids := []int{root}
	all := process.All()
	for i := 0; i < len(pids); i++ {
		for _, pid := range all {
			if parentOf(pid) == pids[i] {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func mountCount(t *testing.T) int {
	t.Helper()
	all, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(all, []byte("\n"))
}

func fdCount(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// besideDocker moves the calling goroutine, and what it starts, to where the mounts
// of a machine's own Docker engine are seen.
func besideDocker(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	err := mountAll(
		mount{"none", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		mount{"run", "/run", "tmpfs", 0, ""},
		mount{"netns", "/run/docker/netns/0123456789ab", "tmpfs", 0, ""},
	)
	if err != nil {
		t.Fatal(err)
	}
}

// TestCrashAndBoot is a power failure of the engine's machine, while this machine's
// engine keeps its mounts.
func TestCrashAndBoot(t *testing.T) {
	Require(t)
	besideDocker(t)
	e := Start(t, Options{})
	e.Run(t, Container{Name: "web", Restart: "always"})
	e.Run(t, Container{Name: "once"})
	before := tree(e.cmd.Process.Pid)
	e.Crash(t)
	if left := tree(e.cmd.Process.Pid); len(left) != 1 {
		t.Errorf("still there: %v of %v", left, before)
	}
	e.Boot(t)
	testwait.Eventually(t, "it is started again", func() bool { return e.Inspect(t, "web").State.Running })
	if e.Inspect(t, "once").State.Running {
		t.Error("started again, and was not to be")
	}
}

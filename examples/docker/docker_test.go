//go:build linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/internal/nstest"
)

func TestMain(m *testing.M) {
	dockertest.Supervise()
	nstest.Run(m)
}

// A host is a private Docker engine with its default firewall, in a network
// namespace that stands for a machine, and this module's programs.
type host struct {
	*dockertest.Engine
	bin   string
	state string // where the command records what it plugged in
}

func newHost(t *testing.T) *host {
	dockertest.Require(t)
	h := &host{Engine: dockertest.Start(t, dockertest.Options{}), bin: t.TempDir(), state: t.TempDir()}
	build := exec.Command("go", "build", "-o", h.bin+"/", "../../cmd/pipework", ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return h
}

// run runs a program on the host and returns what it prints and its status.
func (h *host) run(t *testing.T, program string, args ...string) (string, int) {
	t.Helper()
	path := program
	if program == "pipework" || program == "docker" {
		path = filepath.Join(h.bin, program)
	}
	// In the engine's mounts, too: the machine's own Open vSwitch is not to be seen.
	cmd := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(h.PID(t)), "-m", "-n", path}, args...)...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+h.Sock(), "PIPEWORK_STATE="+h.state)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	t.Logf("%s %s\n%s", program, strings.Join(args, " "), out)
	return string(out), cmd.ProcessState.ExitCode()
}

// ok runs a program that must succeed.
func (h *host) ok(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, status := h.run(t, program, args...)
	if status != 0 {
		t.Errorf("%s %q: exit status %d", program, args, status)
	}
	return out
}

// in runs a command in a container that must succeed.
func (h *host) in(t *testing.T, container string, cmd ...string) string {
	t.Helper()
	out, status := h.Exec(t, container, cmd...)
	if status != 0 {
		t.Errorf("in %s: %q: exit status %d\n%s", container, cmd, status, out)
	}
	return out
}

// TestTwoContainers is the first example of every pipework tutorial, on a host
// with Docker's default firewall, which drops these pings without a rule of ours.
func TestTwoContainers(t *testing.T) {
	h := newHost(t)
	h.Image(t)
	world := nstest.Observe(t, h.HostNS())
	h.Run(t, dockertest.Container{Name: "web"})
	h.Run(t, dockertest.Container{Name: "db", Network: "none"})
	routes := h.in(t, "web", "ip", "route")

	h.ok(t, "pipework", "br1", "web", "192.168.1.1/24@192.168.1.254")
	h.ok(t, "docker", "db", "br1", "192.168.1.2/24")
	h.in(t, "web", "ping", "-c", "1", "-W", "2", "192.168.1.2")
	h.in(t, "db", "ping", "-c", "1", "-W", "2", "192.168.1.1")
	if now := h.in(t, "web", "ip", "route"); !strings.Contains(now, "default via 192.168.1.254 dev eth1") || strings.Contains(now, "dev eth0 \n") {
		t.Errorf("routes of web:\n%s", now)
	}
	if rules := h.ok(t, "iptables", "-S", "DOCKER-USER"); !strings.Contains(rules, "-i br1 -o br1") {
		t.Errorf("no rule lets frames pass within br1:\n%s", rules)
	}

	// Every verb tells a container's whole ID.
	for line, names := range map[string][]string{"list": {"web", "db"}, "list web db": {"web", "db"}, "check": {"web"}} { // db has no record
		out := h.ok(t, "pipework", append(strings.Fields(line), "--json")...)
		for _, name := range names { // beside guests of other hosts on this machine
			id := h.Inspect(t, name).ID
			if !strings.Contains(out, `"id": "`+id+`"`) || strings.Contains(out, `"id": "`+id[:12]+`"`) {
				t.Errorf("%s tells no ID %s of %s:\n%s", line, id, name, out)
			}
		}
	}

	// Somebody makes the firewall anew: the same line again mends it.
	h.ok(t, "iptables", "-F", "DOCKER-USER")
	if out := h.ok(t, "pipework", "br1", "web", "192.168.1.1/24@192.168.1.254"); !strings.Contains(out, "mended: the firewall drops frames within br1") {
		t.Errorf("after the firewall was made anew: %s", out)
	}
	h.in(t, "web", "ping", "-c", "1", "-W", "2", "192.168.1.2")

	// Without the rule the firewall drops them, and on a bridge of somebody
	// else's the command says so instead.
	h.ok(t, "pipework", "--no-forward", "br2", "-i", "eth2", "web", "10.2.0.1/24")
	h.ok(t, "pipework", "--no-forward", "br2", "-i", "eth2", "db", "10.2.0.2/24")
	if out, status := h.Exec(t, "web", "ping", "-c", "1", "-W", "1", "10.2.0.2"); status == 0 {
		t.Errorf("Docker's firewall lets frames pass: this host proves nothing\n%s", out)
	}
	h.ok(t, "pipework", "detach", "web", "-i", "eth2")
	h.ok(t, "pipework", "detach", "db", "-i", "eth2")
	h.ok(t, "ip", "link", "add", "lan", "type", "bridge")
	h.ok(t, "ip", "link", "set", "lan", "up")
	if out := h.ok(t, "pipework", "lan", "-i", "eth2", "db", "10.3.0.2/24"); !strings.Contains(out, "warning: ") || !strings.Contains(out, "iptables -I DOCKER-USER -i lan -o lan -j ACCEPT") {
		t.Errorf("on a bridge that was there: %s", out)
	}
	h.ok(t, "pipework", "detach", "db", "-i", "eth2")
	h.ok(t, "ip", "link", "del", "lan")

	h.Restart(t, "web")
	again := h.ok(t, "pipework", "br1", "web", "192.168.1.1/24@192.168.1.254")
	if strings.Contains(again, "was there already") {
		t.Errorf("after a restart: %s", again)
	}
	h.in(t, "web", "ping", "-c", "1", "-W", "2", "192.168.1.2")
	if list := h.ok(t, "pipework", "list"); !regexp.MustCompile(`(?m)^web +eth1 +bridge:br1 +veth1pl\d+ `).MatchString(list) {
		t.Errorf("list:\n%s", list)
	}

	if out := h.ok(t, "pipework", "detach", "web"); !strings.Contains(out, "back: default via 172.17.0.1") {
		t.Errorf("detach: %s", out)
	}
	h.ok(t, "pipework", "detach", "db")
	if now := h.in(t, "web", "ip", "route"); now != routes {
		t.Errorf("routes of web after detach:\n%swant:\n%s", now, routes)
	}
	if now := h.ok(t, "iptables", "-S", "DOCKER-USER"); strings.Contains(now, "pipework") {
		t.Errorf("firewall after detach:\n%s", now)
	}
	// The restart gave web a new pair on docker0, under a name of Docker's choice:
	// with the containers gone, the host is as it was without them.
	h.Remove(t, "web")
	h.Remove(t, "db")
	world.Unchanged(t)
}

// TestDeclared compares what was typed with what is, while a container restarts
// and is removed.
func TestDeclared(t *testing.T) {
	h := newHost(t)
	id := h.Run(t, dockertest.Container{Name: "web"})
	expect := func(want string, wantStatus int, args ...string) {
		t.Helper()
		if out, status := h.run(t, "pipework", args...); status != wantStatus || !strings.Contains(out, want) {
			t.Errorf("pipework %q: exit status %d, want %d and %q:\n%s", args, status, wantStatus, want, out)
		}
	}
	line := []string{"br1", "web", "192.168.1.1/24"}
	expect("eth1 on bridge:br1", 0, line...)
	expect("docker:web: eth1 ok", 0, "check", "web")
	h.Restart(t, "web")
	expect("docker:web: eth1 missing", 1, "check")
	expect("eth1 on bridge:br1", 0, line...)
	expect("docker:web: eth1 ok", 0, "check")
	expect("eth1 detached", 0, "detach", id[:12])
	expect("nothing is declared", 0, "check")

	expect("eth1 on bridge:br1", 0, line...)
	h.Remove(t, "web")
	expect(`docker:web: eth1 absent: no container "web": see docker ps -a`, 0, "check")
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); { // the kernel takes its time
		if out, _ := h.run(t, "pipework", "gc", "--dry-run"); strings.Contains(out, "bridge br1 would be removed") {
			break
		}
	}
	expect("bridge br1 removed", 0, "gc")
	expect("docker:web: eth1 absent", 0, "check")
	expect("web: eth1 was not plugged in any more, and is forgotten", 0, "detach", "web")
	expect("nothing is declared", 0, "check")
}

// TestWhoseNetwork plugs in containers that do not have a network of their own.
func TestWhoseNetwork(t *testing.T) {
	h := newHost(t)
	h.Run(t, dockertest.Container{Name: "web"})
	h.Run(t, dockertest.Container{Name: "side", Network: "container:web"})
	h.Run(t, dockertest.Container{Name: "hostly", Network: "host"})
	h.Create(t, dockertest.Container{Name: "new"})
	world := nstest.Observe(t, h.HostNS())

	if out := h.ok(t, "pipework", "br1", "side", "192.168.1.3/24"); !strings.Contains(out, "in the network of web") {
		t.Errorf("attach to side: %s", out)
	}
	h.in(t, "web", "ip", "addr", "show", "dev", "eth1")
	h.ok(t, "pipework", "detach", "side")

	// Docker switches IPv6 off in its containers: an IPv6 address switches it on.
	h.Pause(t, "web")
	h.ok(t, "pipework", "br1", "web", "fd00::3/64@fd00::1")
	h.Unpause(t, "web")
	if out := h.in(t, "web", "ip", "-6", "route"); !strings.Contains(out, "default via fd00::1 dev eth1") {
		t.Errorf("IPv6 routes of web:\n%s", out)
	}
	h.ok(t, "pipework", "detach", "web")

	for container, want := range map[string]string{
		"hostly": "would reconfigure the host",
		"new":    "was never started",
		"nosuch": `no guest is called "nosuch"`,
	} {
		if out, status := h.run(t, "pipework", "br1", container, "192.168.1.1/24"); status != 1 || !strings.Contains(out, want) || strings.Count(out, "\n") != 1 {
			t.Errorf("attach to %s: exit status %d: %s", container, status, out)
		}
	}
	world.Unchanged(t)
}

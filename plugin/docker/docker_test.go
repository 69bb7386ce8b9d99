//go:build linux

package docker_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/plugin/docker"
)

// A host is one with a Docker engine and the driver, each of its own.
type host struct {
	t      testing.TB
	e      *dockertest.Engine
	state  string
	driver *exec.Cmd
	there  *bufio.Reader // where the driver tells that it waits, and
	goOn   io.Writer     // what has it go on
	log    logged
}

// A logged is what several drivers say.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newHost(t testing.TB) *host {
	t.Helper()
	h := &host{t: t, e: dockertest.Start(t, dockertest.Options{}), state: t.TempDir()}
	t.Cleanup(func() {
		if h.driver != nil {
			h.kill()
		}
		if t.Failed() {
			t.Logf("the driver said:\n%s", h.log.String())
		}
	})
	h.drive()
	return h
}

// drive starts the driver, and returns when Docker can find it.
func (h *host) drive() { h.t.Helper(); h.driveTo("") }

// driveTo is drive for a driver that waits there; see atEnv.
func (h *host) driveTo(where string) {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	words := append(h.e.Enter(), self)
	h.driver = exec.Command(words[0], words[1:]...)
	h.driver.Env = append(os.Environ(), engineEnv+"="+h.e.Sock(), "PIPEWORK_STATE="+h.state, atEnv+"="+where)
	out, err := h.driver.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if h.goOn, err = h.driver.StdinPipe(); err != nil {
		h.t.Fatal(err)
	}
	h.there = bufio.NewReader(out)
	h.driver.Stderr = &h.log
	h.driver.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := h.driver.Start(); err != nil {
		h.t.Fatal(err)
	}
	testwait.Eventually(h.t, "the driver listens", func() bool {
		out, _ := exec.Command(words[0], append(append([]string{}, words[1:len(words)-1]...), "sh", "-c", "ss -lx src "+docker.DefaultSocket+" | grep -c pipework")...).Output()
		return strings.TrimSpace(string(out)) == "1"
	})
}

// kill ends the driver as nobody expects it.
func (h *host) kill() {
	h.t.Helper()
	_ = h.driver.Process.Kill()
	_ = h.driver.Wait()
	h.driver = nil
}

// network makes one of the driver's.
func (h *host) network(name string, o client.NetworkCreateOptions) {
	h.t.Helper()
	o.Driver = docker.Name
	if _, err := h.e.Client().NetworkCreate(h.t.Context(), name, o); err != nil {
		h.t.Fatal(err)
	}
}

func subnet(text string) *network.IPAM {
	p := netip.MustParsePrefix(text)
	return &network.IPAM{Config: []network.IPAMConfig{{Subnet: p, Gateway: p.Addr().Next()}}}
}

func (h *host) removeNetwork(name string) {
	h.t.Helper()
	if _, err := h.e.Client().NetworkRemove(h.t.Context(), name, client.NetworkRemoveOptions{}); err != nil {
		h.t.Fatal(err)
	}
}

// run runs a program on the host.
func (h *host) run(words ...string) string {
	h.t.Helper()
	words = append(h.e.Enter(), words...)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%q: %v\n%s", words, err, out)
	}
	return string(out)
}

// ask is what `pipework list`, `check` and `gc` find on the host.
func (h *host) ask() string {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	return h.run("env", askEnv+"=1", "PIPEWORK_STATE="+h.state, self)
}

// left is what the driver has made on the host that is there: links, rooms, notes and records.
func (h *host) left() (all []string) {
	h.t.Helper()
	for line := range strings.Lines(h.run("ip", "-o", "link")) {
		name := strings.TrimSuffix(strings.Fields(line)[1], ":")
		if name != "lo" && name != "docker0" && name != "lan0" {
			all = append(all, line)
		}
	}
	all = append(all, strings.Fields(h.run("sh", "-c", "ls /run/pipework/endpoints 2>/dev/null; grep -c /run/pipework/endpoints /proc/self/mountinfo | grep -v '^0' || true"))...)
	files, _ := filepath.Glob(h.state + "/[a-z]*")
	for _, f := range files {
		if !strings.Contains(f, "docker-network.") || strings.HasSuffix(f, ".json") { // notes of networks
			all = append(all, filepath.Base(f))
		}
	}
	return all
}

// nothingLeft waits until nothing is left but notes of networks.
func (h *host) nothingLeft(before []string) {
	h.t.Helper()
	end := time.Now().Add(testwait.Patience)
	for now := h.left(); len(now) > len(before); now = h.left() {
		if time.Now().After(end) {
			h.t.Fatalf("left:\n%s", strings.Join(now, "\n"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// settled waits until the interfaces of so many containers are recorded.
func (h *host) settled(n int) {
	h.t.Helper()
	testwait.Eventually(h.t, fmt.Sprintf("%d attachments are recorded", n), func() bool {
		files, _ := filepath.Glob(h.state + "/docker-network_*.json")
		return len(files) == n
	})
}

// TestBridge is the life of containers on a bridge of the driver's: each has its interface at its
// first instruction, and leaves nothing.
func TestBridge(t *testing.T) {
	h := newHost(t)
	h.e.Image(t)
	before := h.left()
	h.network("lan", client.NetworkCreateOptions{IPAM: subnet("10.9.0.0/24"), Options: map[string]string{"link": "br-lan"}})

	got := h.e.Output(t, dockertest.Container{Network: "lan", Cmd: []string{"sh", "-c", "ip -o addr; ip route"}})
	for _, want := range []string{"eth0    inet 10.9.0.2/24", "default via 10.9.0.1 dev eth0"} {
		if !strings.Contains(got, want) {
			t.Errorf("the first instruction sees no %s: %s", want, got)
		}
	}
	h.nothingLeft(before)

	h.e.Run(t, dockertest.Container{Name: "web", Network: "lan"})
	h.e.Run(t, dockertest.Container{Name: "db", Network: "lan"})
	h.settled(2)
	h.ping("web", "10.9.0.3")
	got = strings.Join(slices.Sorted(strings.Lines(h.ask())), "")
	want := `check docker-network:lan/db: eth0 ok
check docker-network:lan/web: eth0 ok
list docker-network:lan/db eth0 bridge:br-lan
list docker-network:lan/web eth0 bridge:br-lan
`
	if got != want {
		t.Errorf("list, check and gc say\n%s, want\n%s", got, want)
	}
	mac := h.e.Inspect(t, "db").NetworkSettings.Networks["lan"].MacAddress.String()
	h.e.Restart(t, "db")
	h.ping("web", "10.9.0.3")
	if again := h.e.Inspect(t, "db").NetworkSettings.Networks["lan"].MacAddress.String(); again != mac {
		t.Errorf("the MAC was %s, and is %s after a restart", mac, again)
	}
	h.e.Stop(t, "db")
	h.settled(1)
	h.e.StartContainer(t, "db")
	h.settled(2)
	h.network("more", client.NetworkCreateOptions{IPAM: subnet("10.10.0.0/24"), Options: map[string]string{"link": "br-more"}})
	if _, err := h.e.Client().NetworkConnect(t.Context(), "more", client.NetworkConnectOptions{Container: "web"}); err != nil {
		t.Fatal(err)
	}
	if out, _ := h.e.Exec(t, "web", "ip", "-o", "addr", "show", "eth1"); !strings.Contains(out, "10.10.0.2/24") {
		t.Errorf("no eth1: %s", out)
	}
	h.settled(3)
	if _, err := h.e.Client().NetworkDisconnect(t.Context(), "more", client.NetworkDisconnectOptions{Container: "web"}); err != nil {
		t.Fatal(err)
	}
	h.settled(2)
	h.ping("web", "10.9.0.3")
	h.e.Remove(t, "web")
	h.e.Remove(t, "db")
	h.nothingLeft(before)
	h.removeNetwork("lan")
	h.removeNetwork("more")
	if files, _ := filepath.Glob(h.state + "/[a-z]*"); len(files) > 0 {
		t.Errorf("left: %q", files)
	}
}

func (h *host) ping(from, to string) {
	h.t.Helper()
	if out, status := h.e.Exec(h.t, from, "ping", "-c", "1", "-w", "5", to); status != 0 {
		h.t.Errorf("%s does not reach %s: %s", from, to, out)
	}
}

// TestManyAtOnce starts twenty at once; in the long tests a hundred.
func TestManyAtOnce(t *testing.T) {
	h := newHost(t)
	h.e.Image(t)
	before := h.left()
	h.network("lan", client.NetworkCreateOptions{IPAM: subnet("10.9.0.0/24"), Options: map[string]string{"link": "br-lan"}})
	n := 20
	if os.Getenv("PIPEWORK_LONG") != "" {
		n = 100
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { h.e.Run(t, dockertest.Container{Name: fmt.Sprint("web", i), Network: "lan"}) })
	}
	all.Wait()
	h.settled(n)
	for i := range n {
		all.Go(func() { h.e.Remove(t, fmt.Sprint("web", i)) })
	}
	all.Wait()
	h.nothingLeft(before)
}

// TestReboot is a machine that loses its power: networks are known again, and containers that are
// to restart have theirs.
func TestReboot(t *testing.T) {
	h := newHost(t)
	before := h.left()
	h.network("lan", client.NetworkCreateOptions{IPAM: subnet("10.9.0.0/24"), Options: map[string]string{"link": "br-lan"}})
	h.e.Run(t, dockertest.Container{Name: "web", Network: "lan", Restart: "always"})
	h.settled(1)
	h.kill()
	h.e.Crash(t)
	h.run("sh", "-c", "for l in $(ip -o link | grep -o ' vpl[0-9a-f]*'); do ip link del $l; done; ip link del br-lan || true")
	h.drive()
	h.e.Boot(t)
	testwait.Eventually(t, "the container runs again", func() bool { return h.e.Inspect(t, "web").State.Running })
	if out, _ := h.e.Exec(t, "web", "ip", "-o", "-4", "addr", "show", "eth0"); !strings.Contains(out, " 10.9.0.2/24") {
		t.Errorf("no eth0: %s", out)
	}
	h.settled(1)
	h.e.Remove(t, "web")
	h.nothingLeft(before)
}

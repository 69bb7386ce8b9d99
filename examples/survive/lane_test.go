//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
	"github.com/go-pipework/pipework/ovs"
)

func TestMain(m *testing.M) {
	dockertest.Supervise()
	nstest.MainRoot(m)
}

// A lane is a machine with a private Docker engine, three networks with somebody
// in each, and the command to plug containers into them.
type lane struct {
	*dockertest.Engine
	db       *ovstest.Database
	attacher pipework.Attacher
	command  string
	state    string
	peers    []*pinger
}

// labels declare an interface on each of the three networks.
var labels = map[string]string{
	"pipework.eth1": "br1 10.1.0.1/24",
	"pipework.eth2": "lan0 10.2.0.1/24",
	"pipework.eth3": "ovs0 10.3.0.1/24 @100",
}

func newLane(t *testing.T) *lane {
	dockertest.Require(t)
	db := ovstest.Start(t)
	db.Standard(t)
	e := dockertest.Start(t, dockertest.Options{})
	db.Switch(t, ovstest.Userspace, e.HostNS())
	l := &lane{Engine: e, db: db, attacher: pipework.Attacher{Host: e.HostNS()}, command: filepath.Join(t.TempDir(), "pipework"), state: t.TempDir()}
	if out, err := exec.Command("go", "build", "-o", l.command, "../../cmd/pipework").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	l.Image(t)
	l.plugPeer(t, link.Bridge{Name: "br1"}, "10.1.0.254/24", "10.1.0.1")
	l.wirePeer(t, "lan0", "10.2.0.254/24", "10.2.0.1")
	l.plugPeer(t, ovs.Bridge{Name: "ovs0", Tag: 100, Datapath: ovs.Netdev}, "10.3.0.254/24", "10.3.0.1")
	return l
}

// plugPeer puts somebody into a network who pings an address.
func (l *lane) plugPeer(t *testing.T, b link.Backend, addr, to string) {
	t.Helper()
	name, g := nstest.Guest(t)
	s := pipework.Spec{Link: b, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}
	if _, err := l.attacher.Attach(t.Context(), name, s); err != nil {
		t.Fatal(err)
	}
	l.ping(t, g.Handle, to)
}

// wirePeer makes what stands in for a NIC of the host, with somebody at the other
// end of the wire.
func (l *lane) wirePeer(t *testing.T, nic, addr, to string) {
	t.Helper()
	_, g := nstest.Guest(t)
	h, err := l.HostNS().Netlink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	a := netlink.NewLinkAttrs()
	a.Name = nic
	if err := h.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "wire", PeerNamespace: netlink.NsFd(g.NetNS())}); err != nil {
		t.Fatal(err)
	}
	here, err := h.LinkByName(nic)
	if err == nil {
		err = h.LinkSetUp(here)
	}
	if err != nil {
		t.Fatal(err)
	}
	there, err := g.Netlink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	wire, err := there.LinkByName("wire")
	if err != nil {
		t.Fatal(err)
	}
	ip, err := netlink.ParseAddr(addr)
	if err == nil {
		err = errors.Join(there.AddrAdd(wire, ip), there.LinkSetUp(wire))
	}
	if err != nil {
		t.Fatal(err)
	}
	l.ping(t, g.Handle, to)
}

func (l *lane) ping(t *testing.T, from *ns.Handle, to string) {
	t.Helper()
	p, err := newPinger(t.Context(), from, netip.MustParseAddr(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	l.peers = append(l.peers, p)
}

// answered is when the last of the peers had a first answer to what was asked
// after this time.
func (l *lane) answered(t *testing.T, after time.Time) time.Time {
	t.Helper()
	last := after
	for _, p := range l.peers {
		at, err := p.answered(after, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if at.After(last) {
			last = at
		}
		if d := at.Sub(after); d > 500*time.Millisecond {
			t.Logf("%s answered only after %v", p.to, d)
		}
	}
	return last
}

// plugged is what is plugged into the container, by the interface's name.
func (l *lane) plugged(t *testing.T, container string) map[string]string {
	t.Helper()
	all, err := l.attacher.List(t.Context(), docker.Engine{Host: l.Sock()}.Container(container))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not started yet
	}
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, at := range all {
		found[at.Name] = at.Link + " " + at.MAC.String()
		for _, a := range at.Addrs {
			found[at.Name] += " " + a.String()
		}
		for _, d := range at.Drifts {
			found[at.Name] += ", " + d
		}
	}
	return found
}

// awaitPlugged waits until the container web has these interfaces again.
func (l *lane) awaitPlugged(t *testing.T, want map[string]string) {
	t.Helper()
	testwait.Eventually(t, fmt.Sprintf("web has %v", want), func() bool { return maps.Equal(want, l.plugged(t, "web")) })
}

// A daemon is the command at work in the background.
type daemon struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// watch starts pipework watch on the lane's host.
func (l *lane) watch(t *testing.T) *daemon {
	t.Helper()
	d := &daemon{cmd: exec.Command(l.command, "watch"), ended: make(chan struct{})}
	log, err := os.CreateTemp(l.state, "log")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	d.cmd.Env = append(os.Environ(), "DOCKER_HOST="+l.Sock(), "PIPEWORK_STATE="+filepath.Join(l.state, "records"))
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.start(l.HostNS()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.kill()
		if text, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s", text[max(0, len(text)-4000):])
		}
	})
	return d
}

// start starts it on this host. It dies with the test.
func (d *daemon) start(host *ns.Handle) error {
	started := make(chan error)
	cmd := d.cmd
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	go func() {
		defer close(d.ended)
		runtime.LockOSThread() // for the namespace, and for Pdeathsig: the thread stays as long as the process
		err := netns.Set(host.NetNS())
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	return <-started
}

// kill ends the daemon as abruptly as can be.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.ended
}

//go:build linux

package keep_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// A kept is a network namespace that lives on when its process has ended.
type kept struct {
	*testing.T
	net  *netlink.Handle // a socket inside, which alone keeps it
	held *ns.Guest       // an open file of it; nil: it is hidden
}

// restart ends the word's guest, whose namespace is kept, and starts it anew. Whatever
// keeps the namespace is told by keeper: a file, a mount, a process or a socket.
func (t town) restart(tt *testing.T, word, keeper string) *kept {
	tt.Helper()
	k := &kept{T: tt, net: t.handle(tt, word)}
	g, err := t.Target(word).Open(tt.Context())
	must(tt, err)
	switch keeper {
	case "file":
		k.held = g
		tt.Cleanup(func() { _ = g.Close() })
	case "mount":
		path := tt.TempDir() + "/kept net" // with what the kernel escapes
		must(tt, os.WriteFile(path, nil, 0o600))
		must(tt, g.Do(tt.Context(), func() error { return unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "") }))
		tt.Cleanup(func() { must(tt, unix.Unmount(path, unix.MNT_DETACH)) })
	case "process":
		sidecar := exec.Command("sleep", "1000")
		must(tt, g.Do(tt.Context(), sidecar.Start))
		tt.Cleanup(func() {
			_ = sidecar.Process.Kill()
			_ = sidecar.Wait()
		})
	}
	if keeper != "file" {
		must(tt, g.Close())
	}
	was := t[word]
	p, err := os.FindProcess(was.PID)
	must(tt, err)
	must(tt, p.Kill())
	nstest.Ended(tt, was.PID)
	was.PID = nstest.Process(tt).PID
	t[word] = was
	return k
}

// has says whether the namespace has an interface of this name.
func (k *kept) has(name string) bool {
	_, err := k.net.LinkByName(name)
	return err == nil
}

// TestFormer restarts guests whose network namespace is kept: what they had there goes when
// they are plugged in again, before what they get now, with the same MAC and addresses.
func TestFormer(t *testing.T) {
	for name, row := range map[string]struct{ line, keeper string }{
		"bridge":        {"br1 G 10.0.0.2/24 02:00:00:00:00:21", "file"},
		"bridge hidden": {"br1 G 10.0.0.2/24 02:00:00:00:00:21", "socket"},
		"veth":          {"veth:w0 G 10.0.0.2/24@10.0.0.1 02:00:00:00:00:21", "process"},
		"macvlan":       {"nicx G 10.0.0.2/24 02:00:00:00:00:21", "process"},
		"macvlan VLAN":  {"nicx G 10.0.0.2/24 02:00:00:00:00:21@100", "mount"},
		"vlan":          {"vlan:nicx G 10.0.0.2/24 @100", "mount"},
		"dummy":         {"dummy G 10.0.0.2/24 02:00:00:00:00:21", "mount"},
		"pair":          {"veth:docker:db/eth5 G 10.0.0.2/24@10.0.0.1 02:00:00:00:00:21", "process"},
		"phys":          {"--direct-phys nicx G 10.0.0.2/24", "file"},
	} {
		t.Run(name, func(t *testing.T) {
			makeNIC(t, "nicx", "02:00:00:00:09:09")
			guests, p := newTown(t)
			guests.settle(t, id("web"), "docker:web")
			guests.settle(t, id("db"), "docker:db")
			line := strings.ReplaceAll(row.line, "G", "docker:web")
			plugInOrSkip(t, p, line)
			k := guests.restart(t, "docker:web", row.keeper)
			if !k.has("eth1") {
				t.Fatal("the namespace is not kept")
			}
			would, err := p.Orphans(t.Context())
			if text := strings.Join(would, "\n"); err != nil || !strings.Contains(text, "eth1 of docker:web, in the network namespace that it had before") {
				t.Errorf("gc would: %q, %v", would, err)
			}
			r, err := p.Store.Get(ns.ParseRef("docker:web"), "eth1")
			must(t, err)
			must(t, attachAgain(t, p, r))
			if k.has("eth1") {
				t.Error("it is still in the namespace that was kept")
			}
			if got := guests.interfaces(t, "docker:web"); len(got) != 1 {
				t.Errorf("the guest has %q", got)
			}
			if would, err := p.Orphans(t.Context()); err != nil || strings.Contains(strings.Join(would, "\n"), "docker:web") {
				t.Errorf("gc would: %q, %v", would, err)
			}
			detached(t, *p, "docker:web", "eth1")
		})
	}
}

// plugInOrSkip plugs in what a line says, if the kernel can.
func plugInOrSkip(t *testing.T, p *keep.Plugger, text string) {
	t.Helper()
	flags, words, err := config.Split(strings.Fields(text))
	must(t, err)
	line, err := config.Parse(words)
	must(t, err)
	d, err := p.Declared(t.Context(), line, flags)
	must(t, err)
	if _, _, err = p.Attach(t.Context(), ns.ParseRef(line.Guest), d); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	must(t, err)
}

// attachAgain attaches what is recorded.
func attachAgain(t *testing.T, p *keep.Plugger, r *keep.Record) error {
	t.Helper()
	_, _, err := p.Attach(t.Context(), r.Guest, r.Declared())
	return err
}

// TestFormerIsCollected has gc, or a detach, take it away, also of a guest that does not run.
func TestFormerIsCollected(t *testing.T) {
	makeNIC(t, "nicx", "02:00:00:00:09:09")
	for name, do := range map[string]func(*keep.Plugger) error{
		"gc": func(p *keep.Plugger) error {
			_, err := p.Collect(t.Context())
			return err
		},
		"detach": func(p *keep.Plugger) error {
			_, err := p.Detach(t.Context(), ns.ParseRef("docker:web"), "", keep.DetachOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			guests, p := newTown(t)
			guests.settle(t, id("web"), "docker:web")
			plugIn(t, p, "nicx docker:web 10.0.0.2/24")
			k := guests.restart(t, "docker:web", "file")
			must(t, do(p))
			if k.has("eth1") {
				t.Error("it is still there")
			}
		})
	}
}

// TestFormerLeavesOthers has what is not the guest's stay: what it has in its own namespace,
// what a guest that does not run has, and what others have in the namespace that was kept.
func TestFormerLeavesOthers(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, id("web"), "docker:web")
	plugIn(t, p, "br1 docker:web 10.0.0.2/24")
	k := guests.restart(t, "docker:web", "file")
	p.Target = byText(func(word string) pipework.Target {
		if word == "docker:side" {
			return ns.Path(fmt.Sprintf("/proc/self/fd/%d", int(k.held.NetNS())))
		}
		return guests.Target(word)
	})
	plugIn(t, p, "br1 docker:side -i eth5 10.0.0.5/24")
	running := guests["docker:web"]
	guests["docker:web"] = ns.Identity{Name: "web", ID: id("web")} // stopped
	_, err := p.Collect(t.Context())
	must(t, err)
	if !k.has("eth1") {
		t.Error("gc took what a stopped guest has")
	}
	guests["docker:web"] = running
	_, err = p.Collect(t.Context())
	must(t, err)
	if k.has("eth1") || !k.has("eth5") {
		t.Error("gc took the wrong one")
	}
	detached(t, *p, "docker:side", "eth5")
}

// TestFormerPeer restarts the other guest of a pair, whose network namespace is kept: the
// line that was typed, with what was added to it, leads to its present one then.
func TestFormerPeer(t *testing.T) {
	for _, keeper := range []string{"file", "mount", "process", "socket"} {
		t.Run(keeper, func(t *testing.T) {
			guests, p := newTown(t)
			guests.settle(t, id("web"), "docker:web")
			guests.settle(t, id("db"), "docker:db")
			plugIn(t, p, "veth:docker:db/eth5 docker:web 10.9.0.1/30@10.9.0.2")
			plugIn(t, p, "veth:docker:db/eth5 docker:web 10.9.8.1/24")
			k := guests.restart(t, "docker:db", keeper)
			found, err := p.Status(t.Context())
			if err != nil || len(found) != 1 || found[0].State != keep.Drifted {
				t.Errorf("check: %+v, %v", found, err)
			}
			r, err := p.Store.Get(ns.ParseRef("docker:web"), "eth1")
			must(t, err)
			d := r.Declared()
			d.Spec.Add = true
			_, _, err = p.Attach(t.Context(), r.Guest, d)
			must(t, err)
			if k.has("eth5") {
				t.Error("an end is still in the namespace that was kept")
			}
			_, err = guests.handle(t, "docker:db").LinkByName("eth5")
			must(t, err)
			found, err = p.Status(t.Context())
			if err != nil || len(found) != 1 || found[0].State != keep.AsDeclared || len(found[0].Attachment.Addrs) != 2 {
				t.Errorf("check: %+v, %v", found, err)
			}
			detached(t, *p, "docker:web", "eth1")
		})
	}
}

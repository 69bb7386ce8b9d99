//go:build linux

package keep_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"slices"
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

// restart ends the word's guest, whose namespace is kept, and starts another one. Whatever
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
			if text := fmt.Sprint(would); err != nil || !strings.Contains(text, "interface eth1 of docker:web removed: it is in the network namespace that the guest had before") {
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
			if would, err := p.Orphans(t.Context()); err != nil || strings.Contains(fmt.Sprint(would), "docker:web") {
				t.Errorf("gc would: %q, %v", would, err)
			}
			detached(t, *p, "docker:web", "eth1")
		})
	}
}

// plugInOrSkip plugs in what a line says, if the kernel can.
func plugInOrSkip(t *testing.T, p *keep.Plugger, text string) {
	t.Helper()
	_, err := plug(t, p, text)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	must(t, err)
}

// plug plugs in what a line says.
func plug(t *testing.T, p *keep.Plugger, text string) (*pipework.Attachment, error) {
	t.Helper()
	line, err := config.Parse(strings.Fields(text))
	must(t, err)
	d, err := p.Declared(t.Context(), line)
	must(t, err)
	at, _, err := p.Attach(t.Context(), ns.ParseRef(line.Guest), d)
	return at, err
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

// TestFormerPeer restarts the other guest of a pair, whose network namespace is kept: any of
// the lines that were typed, or a further one, recreates the pair in its present one, with all
// that the others added.
func TestFormerPeer(t *testing.T) {
	const first, second = "veth:docker:db/eth5 docker:web 10.9.0.1/30@10.9.0.2", "veth:docker:db/eth5 docker:web 10.9.8.1/24"
	for name, row := range map[string]struct {
		keeper, line string
		addrs        int
	}{
		"first line":        {"file", first, 2},
		"second line":       {"mount", second, 2},
		"a third line":      {"process", "veth:docker:db/eth5 docker:web 10.9.9.1/24", 3},
		"second, by socket": {"socket", second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			guests, p := newTown(t)
			guests.settle(t, id("web"), "docker:web")
			guests.settle(t, id("db"), "docker:db")
			plugIn(t, p, first)
			plugIn(t, p, second)
			k := guests.restart(t, "docker:db", row.keeper)
			found, err := p.Status(t.Context())
			if err != nil || len(found) != 1 || found[0].State != keep.Drifted {
				t.Errorf("check: %+v, %v", found, err)
			}
			at, err := plug(t, p, row.line)
			must(t, err)
			if !at.Existed || len(at.Mended) != 1 || !strings.Contains(at.Mended[0], "recreated because") || len(at.Added) != row.addrs-2 {
				t.Errorf("%+v", at)
			}
			wholePair(t, guests, p, row.addrs)
			if k.has("eth5") {
				t.Error("an end is still in the namespace that was kept")
			}
			for _, line := range []string{first, second} {
				if at, err := plug(t, p, line); err != nil || len(at.Mended)+len(at.Added) > 0 {
					t.Errorf("once more: %+v, %v", at, err)
				}
			}
			detached(t, *p, "docker:web", "eth1")
		})
	}
}

// wholePair checks that the pair is as both lines declare it, with this many addresses.
func wholePair(t *testing.T, guests town, p *keep.Plugger, addrs int) {
	t.Helper()
	found, err := p.Status(t.Context())
	if err != nil || len(found) != 1 || found[0].State != keep.AsDeclared || len(found[0].Spec.Addrs) != addrs ||
		len(found[0].Attachment.Addrs) != addrs || len(found[0].Attachment.Gateways) != 1 {
		t.Errorf("check: %+v, %v", found, err)
	}
	h := guests.handle(t, "docker:db")
	l, err := h.LinkByName("eth5")
	must(t, err)
	if has, err := h.AddrList(l, netlink.FAMILY_V4); err != nil || len(has) != 1 || has[0].IPNet.String() != "10.9.0.2/30" {
		t.Errorf("the other end has %v, %v", has, err)
	}
}

// TestFormerPeerWithoutRecord has no record that tells what the pair had: a line that does not
// say all of it is refused, and changes nothing.
func TestFormerPeerWithoutRecord(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, id("web"), "docker:web")
	guests.settle(t, id("db"), "docker:db")
	unrecorded := *p
	unrecorded.Store = nil
	lines := []string{"veth:docker:db/eth5 docker:web 10.9.0.1/30@10.9.0.2", "veth:docker:db/eth5 docker:web 10.9.8.1/24"}
	for _, line := range lines {
		plugIn(t, &unrecorded, line)
	}
	k := guests.restart(t, "docker:db", "file")
	for _, line := range lines {
		if at, err := plug(t, &unrecorded, line); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "detach it, and attach all") {
			t.Errorf("%s: %+v, %v", line, at, err)
		}
	}
	if !k.has("eth5") {
		t.Error("the pair is gone")
	}
	_, err := unrecorded.Detach(t.Context(), ns.ParseRef("docker:web"), "eth1", keep.DetachOptions{})
	must(t, err)
}

// TestFormerPeerInAnAddition has a call killed that was adding to such a pair: who types a line
// then, or gc, recreates it with all of it.
func TestFormerPeerInAnAddition(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, id("web"), "docker:web")
	guests.settle(t, id("db"), "docker:db")
	plugIn(t, p, "veth:docker:db/eth5 docker:web 10.9.0.1/30@10.9.0.2")
	r, err := p.Store.Get(ns.ParseRef("docker:web"), "eth1")
	must(t, err)
	before := *r
	r.Phase, r.Before = keep.Intent, &before
	r.Spec.Addrs = append(slices.Clone(r.Spec.Addrs), netip.MustParsePrefix("10.9.8.1/24"))
	must(t, p.Store.Put(*r))
	guests.restart(t, "docker:db", "file")
	_, err = p.Recover(t.Context(), ns.ParseRef("docker:web"), "eth1")
	must(t, err)
	wholePair(t, guests, p, 2)
	detached(t, *p, "docker:web", "eth1")
}

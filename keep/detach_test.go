//go:build linux

package keep_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// A town has guests, each under the words that it is known by just now. One with
// PID 0 is stopped.
type town map[string]ns.Identity

// Target is the guest that the word means.
func (t town) Target(word string) pipework.Target { return resident{t, word} }

type resident struct {
	town town
	word string
}

func (r resident) String() string { return r.word[strings.LastIndexAny(r.word, ":/")+1:] }

func (r resident) Open(ctx context.Context) (*ns.Guest, error) {
	id, known := r.town[r.word]
	if !known {
		return nil, errs.Unknown("nobody is called %q", r.word)
	}
	if id.PID == 0 {
		return nil, errs.StoppedAs(id.ID, "%s has exited", r.word)
	}
	g, err := ns.PID(id.PID).Open(ctx)
	if err == nil {
		g.Identity = id
	}
	return g, err
}

// settle has a guest known by these words, the first of which gives its name.
func (t town) settle(tt *testing.T, id string, words ...string) {
	tt.Helper()
	who := ns.Identity{Name: resident{word: words[0]}.String(), ID: id, PID: nstest.Process(tt).PID}
	for _, w := range words {
		t[w] = who
	}
}

// rename gives a word's guest another one.
func (t town) rename(from, to string) {
	t[to] = t[from]
	delete(t, from)
}

// interfaces are what is plugged into the guest.
func (t town) interfaces(tt *testing.T, word string) []string {
	tt.Helper()
	return slices.Sorted(maps.Keys(plugged(tt, t.Target(word))))
}

// handle works inside the guest, as somebody in there may.
func (t town) handle(tt *testing.T, word string) *netlink.Handle {
	tt.Helper()
	g, err := t.Target(word).Open(tt.Context())
	if err != nil {
		tt.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	h, err := netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
	if err != nil {
		tt.Fatal(err)
	}
	tt.Cleanup(func() { _ = h.Close() })
	return h
}

// within changes an interface of the guest.
func (t town) within(tt *testing.T, word, iface string, change func(*netlink.Handle, netlink.Link) error) {
	tt.Helper()
	h := t.handle(tt, word)
	l, err := h.LinkByName(iface)
	if err == nil {
		err = change(h, l)
	}
	if err != nil {
		tt.Fatal(err)
	}
}

// newTown has a Plugger with records, and what it plugged in taken away when the
// test ends.
func newTown(t *testing.T) (town, *keep.Plugger) {
	guests := town{}
	p := &keep.Plugger{Store: store(t), Target: byText(guests.Target)}
	t.Cleanup(func() {
		for word := range guests {
			if _, err := p.DetachGuest(context.Background(), ns.ParseRef(word), keep.DetachOptions{}); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		}
	})
	return guests, p
}

// plugIn plugs in what a line says.
func plugIn(t *testing.T, p *keep.Plugger, text string) {
	t.Helper()
	line, err := config.Parse(strings.Fields(text))
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.Declared(t.Context(), line)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Attach(t.Context(), ns.ParseRef(line.Guest), d); err != nil {
		t.Fatal(err)
	}
}

// recorded are the guests and interfaces that there are records of.
func recorded(t *testing.T, p *keep.Plugger) (all []string) {
	t.Helper()
	records, damaged, err := p.Store.All()
	if err != nil || len(damaged) > 0 {
		t.Fatal(damaged, err)
	}
	for _, r := range records {
		all = append(all, r.Guest.String()+" "+r.Interface)
	}
	return all
}

// unplugs expects the detach to unplug an interface, and these records to be left.
func unplugs(t *testing.T, p *keep.Plugger, guest, name, unplugged string, left ...string) {
	t.Helper()
	r, err := p.Detach(t.Context(), ns.ParseRef(guest), name, keep.DetachOptions{})
	got := ""
	if r != nil && r.Attachment != nil {
		got = r.Attachment.Name
	}
	if err != nil || got != unplugged || r == nil {
		t.Errorf("detach %s %s unplugged %q of %+v, want %q; %v", guest, name, got, r, unplugged, err)
	}
	if diff := cmp.Diff(left, recorded(t, p)); diff != "" {
		t.Errorf("records after detach %s %s (-want +got):\n%s", guest, name, diff)
	}
}

// TestDetachLeavesOthers has guests whose IDs begin alike.
func TestDetachLeavesOthers(t *testing.T) {
	guests, p := newTown(t)
	for i, word := range []string{"containerd:default/web-1", "containerd:default/web-2"} {
		guests.settle(t, strings.TrimPrefix(word, "containerd:"), word)
		plugIn(t, p, "br1 "+word+" 10.0.0."+string('1'+rune(i))+"/24")
	}
	unplugs(t, p, "containerd:default/web-1", "", "eth1", "containerd:default/web-2 eth1")
	if got := guests.interfaces(t, "containerd:default/web-2"); len(got) != 1 {
		t.Errorf("web-2 has %v", got)
	}
}

// TestDetachBelievesNoMark has a guest write another's ID into its mark.
func TestDetachBelievesNoMark(t *testing.T) {
	guests, p := newTown(t)
	for _, name := range []string{"evil", "victim"} {
		guests.settle(t, name+id(name)[len(name):], "docker:"+name)
		plugIn(t, p, "br1 docker:"+name+" 0/0")
	}
	for _, forged := range []string{"v", "victim", guests["docker:victim"].ID[:12]} {
		guests.within(t, "docker:evil", "eth1", func(h *netlink.Handle, l netlink.Link) error {
			words := strings.Fields(l.Attrs().Alias)
			for i, w := range words {
				if strings.HasPrefix(w, "containerid=") {
					words[i] = "containerid=" + forged
				}
			}
			return h.LinkSetAlias(l, strings.Join(words, " "))
		})
		unplugs(t, p, "docker:evil", "", "eth1", "docker:victim eth1")
		if got := guests.interfaces(t, "docker:victim"); len(got) != 1 {
			t.Errorf("the victim has %v", got)
		}
		plugIn(t, p, "br1 docker:evil 0/0")
	}
}

// TestDetachByAnotherWord has one guest under two words.
func TestDetachByAnotherWord(t *testing.T) {
	for _, row := range []struct{ name, id, word, other string }{
		{"path", "", "/run/netns/web", "netns:web"},
		{"nspawn", "", "nspawn:box", "machine:box"},
		{"ID", id("web"), "docker:web", "docker:" + id("web")[:12]},
		{"containerd", "default/web", "containerd:default/web", "containerd:web"},
		{"two runtimes", id("web"), "docker:web", "cgroup:web"},
	} {
		t.Run(row.name, func(t *testing.T) {
			guests, p := newTown(t)
			guests.settle(t, row.id, row.word, row.other)
			guests.settle(t, "", "netns:bystander")
			plugIn(t, p, "br1 netns:bystander 10.0.0.9/24")
			plugIn(t, p, "br1 "+row.word+" 10.0.0.2/24")
			unplugs(t, p, row.other, "", "eth1", "netns:bystander eth1")
			plugIn(t, p, "br1 "+row.word+" 10.0.0.2/24")
			plugIn(t, p, "br1 "+row.other+" 10.0.0.2/24")
			unplugs(t, p, row.other, "eth1", "eth1", "netns:bystander eth1")
			plugIn(t, p, "br1 "+row.word+" 10.0.0.2/24")
			guests.within(t, row.word, "eth1", func(h *netlink.Handle, l netlink.Link) error { return h.LinkDel(l) })
			unplugs(t, p, row.other, "", "", "netns:bystander eth1")
		})
	}
}

// TestDetachTheRenamedInterface has somebody in the guest call eth1 foo0.
func TestDetachTheRenamedInterface(t *testing.T) {
	for _, row := range []struct{ made, asked string }{
		{"eth1", ""}, {"eth1", "eth1"}, {"eth1", "foo0"}, {"net0", "net0"}, {"net0", "foo0"},
	} {
		t.Run(row.made+" as "+row.asked, func(t *testing.T) {
			guests, p := newTown(t)
			guests.settle(t, "", "netns:web", "/run/netns/web")
			for _, word := range []string{"netns:web", "/run/netns/web"} {
				plugIn(t, p, "br1 -i "+row.made+" netns:web 10.0.0.2/24")
				guests.within(t, "netns:web", row.made, func(h *netlink.Handle, l netlink.Link) error {
					return errors.Join(h.LinkSetDown(l), h.LinkSetName(l, "foo0"))
				})
				unplugs(t, p, word, row.asked, "foo0")
				if got := guests.interfaces(t, "netns:web"); len(got) > 0 {
					t.Errorf("it has %v", got)
				}
			}
		})
	}
}

// TestDetachTheRenamedGuest has containers that are called otherwise than their
// records say.
func TestDetachTheRenamedGuest(t *testing.T) {
	begin := func(t *testing.T) (town, *keep.Plugger) {
		guests, p := newTown(t)
		guests.settle(t, id("web"), "docker:web", "docker:"+id("web"))
		plugIn(t, p, "br1 docker:web 10.0.0.2/24")
		guests.rename("docker:web", "docker:old")
		return guests, p
	}
	stop := func(guests town, words ...string) {
		for _, w := range words {
			guests[w] = ns.Identity{Name: "old", ID: id("web")}
		}
	}
	t.Run("by its old name", func(t *testing.T) {
		guests, p := begin(t)
		unplugs(t, p, "docker:web", "", "eth1")
		if got := guests.interfaces(t, "docker:old"); len(got) > 0 {
			t.Errorf("it has %v", got)
		}
	})
	t.Run("by its new name", func(t *testing.T) {
		_, p := begin(t)
		unplugs(t, p, "docker:old", "", "eth1")
	})
	t.Run("and stopped", func(t *testing.T) {
		guests, p := begin(t)
		stop(guests, "docker:old", "docker:"+id("web"))
		unplugs(t, p, "docker:old", "", "")
	})
	t.Run("and stopped, by its old name", func(t *testing.T) {
		guests, p := begin(t)
		stop(guests, "docker:old", "docker:"+id("web"))
		unplugs(t, p, "docker:web", "", "")
	})
	t.Run("beside a new one", func(t *testing.T) {
		guests, p := begin(t)
		guests.settle(t, id("new"), "docker:web") // whose record it is now
		plugIn(t, p, "br1 docker:web 10.0.0.3/24")
		unplugs(t, p, "docker:old", "", "eth1", "docker:web eth1")
		if got := guests.interfaces(t, "docker:web"); len(got) != 1 {
			t.Errorf("the new one has %v", got)
		}
		stop(guests, "docker:old", "docker:"+id("web"))
		if r, err := p.Detach(t.Context(), ns.ParseRef("docker:old"), "", keep.DetachOptions{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stopped: %+v, %v", r, err)
		}
		unplugs(t, p, "docker:web", "", "eth1")
	})
	t.Run("nobody", func(t *testing.T) {
		_, p := newTown(t)
		_, err := p.Detach(t.Context(), ns.ParseRef("docker:nobody"), "", keep.DetachOptions{})
		if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "detach") {
			t.Errorf("got %v", err)
		}
	})
}

// TestDetachIsFinishedOnItsGuest has a detach killed whose guest's name another
// took over since.
func TestDetachIsFinishedOnItsGuest(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, id("web"), "docker:web", "docker:"+id("web"))
	plugIn(t, p, "br1 docker:web 10.0.0.2/24")
	r, err := p.Store.Get(ns.ParseRef("docker:web"), "eth1")
	if err != nil {
		t.Fatal(err)
	}
	r.Phase = keep.Detaching
	if err := p.Store.Put(*r); err != nil {
		t.Fatal(err)
	}
	guests.rename("docker:web", "docker:old")
	guests.settle(t, id("new"), "docker:web")
	plugIn(t, &keep.Plugger{Target: byText(guests.Target)}, "br1 docker:web 10.0.0.3/24")
	if _, err := p.Collect(t.Context()); err != nil {
		t.Error(err)
	}
	if old, now := guests.interfaces(t, "docker:old"), guests.interfaces(t, "docker:web"); len(old) != 0 || len(now) != 1 {
		t.Errorf("the old one has %v, the new one %v", old, now)
	}
	if got := recorded(t, p); len(got) > 0 {
		t.Errorf("records %v", got)
	}
}

// TestDetachKeepsTheID has a guest detached by the word of another runtime, whose ID
// the record's runtime does not know.
func TestDetachKeepsTheID(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, id("web"), "docker:web")
	guests["containerd:moby/web"] = ns.Identity{Name: "web", ID: "moby/web", PID: guests["docker:web"].PID}
	plugIn(t, p, "br1 docker:web 10.0.0.2/24")
	seen := ""
	watched := &keep.Plugger{Store: p.Store, Target: func(ref ns.Ref) pipework.Target {
		if r, err := p.Store.Get(ns.ParseRef("docker:web"), "eth1"); err == nil && r.Phase == keep.Detaching {
			seen = r.Guest.ID
		}
		return guests.Target(ref.String())
	}}
	unplugs(t, watched, "containerd:moby/web", "", "eth1")
	if seen != id("web") {
		t.Errorf("the ID was %q meanwhile", seen)
	}
}

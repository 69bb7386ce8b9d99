//go:build linux

package pipework_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
)

// TestOutdatedMark attaches to interfaces that an earlier version marked: its digests
// cannot be compared, the interfaces can.
func TestOutdatedMark(t *testing.T) {
	name, g := nstest.Guest(t)
	h := handle(t, g)
	asked := spec("eth1", "br1", "10.0.0.2/24", "10.0.0.254")
	attach(t, name, asked)
	l, err := h.LinkByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	current := l.Attrs().Alias
	mark, _ := link.ParseMark(current)
	mark.Spec = "0123456789abcdef"
	outdate := func() {
		t.Helper()
		if err := h.LinkSetAlias(l, mark.String()); err != nil {
			t.Fatal(err)
		}
	}
	outdate()
	for what, change := range map[string]func(*pipework.Spec){
		"MTU is 1500 instead of 1400":    func(s *pipework.Spec) { s.MTU = 1400 },
		"it has the address 10.0.0.2/24": func(s *pipework.Spec) { s.Addrs = []netip.Prefix{netip.MustParsePrefix("10.0.0.3/24")} },
		"it is plugged into bridge:br1":  func(s *pipework.Spec) { s.Link = link.Bridge{Name: "br2"} },
	} {
		other := asked
		change(&other)
		if _, err := pipework.Attach(t.Context(), name, other); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q", err, what)
		}
	}
	for _, drift := range []func() error{
		func() error { return nil },
		func() error { return h.LinkSetDown(l) },
	} {
		outdate()
		if err := drift(); err != nil {
			t.Fatal(err)
		}
		at := attach(t, name, asked)
		if !at.Existed {
			t.Errorf("%+v", at)
		}
		if now, err := h.LinkByName("eth1"); err != nil || now.Attrs().Alias != current {
			t.Errorf("%v: marked %q, want %q", err, now.Attrs().Alias, current)
		}
	}
	outdate()
	detach(t, name, pipework.Spec{})
}

// TestOutdatedMarkWithRules attaches by a Spec without rules to an interface that an
// earlier version gave some: they belong to the interface as long as it is there.
func TestOutdatedMarkWithRules(t *testing.T) {
	name, g := nstest.Guest(t)
	h := handle(t, g)
	world := nstest.Observe(t, g.Handle)
	asked := spec("eth1", "br1", "10.0.0.2/24")
	ruled := asked
	ruled.Rules = []link.Rule{{Priority: 100, From: netip.MustParsePrefix("10.0.0.0/24"), Table: 100}}
	attach(t, name, ruled)
	l, err := h.LinkByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	mark, _ := link.ParseMark(l.Attrs().Alias)
	mark.Spec = "0123456789abcdef"
	if err := h.LinkSetAlias(l, mark.String()); err != nil {
		t.Fatal(err)
	}
	if _, err := pipework.Attach(t.Context(), name, asked); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "its rules are others") {
		t.Errorf("%v, want the rules to be in the way", err)
	}
	attach(t, name, ruled)
	detach(t, name, pipework.Spec{})
	world.Unchanged(t)
}

// TestOutdatedRecord attaches to a NIC whose record has an earlier version's digest:
// the record has today's then.
func TestOutdatedRecord(t *testing.T) {
	addNIC0(t)
	name, g := nstest.Guest(t)
	attach(t, name, nic0)
	digest := func() string {
		m, ok := link.RecordedNIC(g.Handle, "eth1")
		if !ok {
			t.Fatal("no record")
		}
		return m.Spec
	}
	current := digest()
	files, err := filepath.Glob(fmt.Sprintf("/run/pipework-nics/%d-*.json", g.Inode().Ino))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	old := strings.Replace(string(text), "spec="+current, "spec=0123456789abcdef", 1)
	if err := os.WriteFile(files[0], []byte(old), 0o600); err != nil || digest() == current {
		t.Fatal(old, err)
	}
	attach(t, name, nic0)
	if got := digest(); got != current {
		t.Errorf("the record has the digest %q, want %q", got, current)
	}
	detach(t, name, nic0)
	leadsToTheWire(t)
}

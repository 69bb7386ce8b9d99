//go:build linux

package keeptest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// ID is the ID of the container with this name.
func ID(name string) string { return fmt.Sprintf("%064x", name) }

// ByText is a Plugger's Target that finds guests by the text of their Refs.
func ByText(find func(text string) pipework.Target) func(ns.Ref) pipework.Target {
	return func(ref ns.Ref) pipework.Target { return find(ref.String()) }
}

// Typed does what a command line does.
func Typed(t *testing.T, p keep.Plugger, words string) (keepOn func(context.Context) error) {
	t.Helper()
	line := LineOf(t, words)
	d, err := p.Declared(t.Context(), line)
	Must(t, err)
	_, keepOn, err = p.Attach(t.Context(), ns.ParseRef(line.Guest), d)
	Must(t, err)
	return keepOn
}

// OnBridge is a bridge and one address.
func OnBridge(bridge, addr string) pipework.Spec {
	return pipework.Spec{Link: link.Bridge{Name: bridge}, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}
}

// Detached does what pipework detach does.
func Detached(t *testing.T, p keep.Plugger, guest, name string) {
	t.Helper()
	r, err := p.Detach(t.Context(), ns.ParseRef(guest), name, keep.DetachOptions{})
	Must(t, err)
	if r == nil {
		t.Fatal("there was nothing to detach")
	}
}

func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Plugged is what a guest has, by name: backend, MAC and addresses; of nothing
// half-made, since whoever is at work holds the guest's lock.
func Plugged(t *testing.T, to pipework.Target) map[string]string {
	t.Helper()
	if g, err := to.Open(t.Context()); err == nil {
		defer func() { _ = g.Close() }()
		unlock, err := g.RLock(t.Context(), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
	}
	all, err := pipework.List(t.Context(), to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, at := range all {
		found[at.Name] = fmt.Sprint(at.Link, " ", at.MAC, " ", at.Addrs)
	}
	return found
}

// Has waits until the guest has just these interfaces, and returns them.
func Has(t *testing.T, to pipework.Target, names ...string) map[string]string {
	t.Helper()
	var found map[string]string
	testwait.Eventually(t, fmt.Sprint("it has ", names), func() bool {
		found = Plugged(t, to)
		return slices.Equal(slices.Sorted(maps.Keys(found)), names)
	})
	return found
}

// Store is a state directory for the length of the test.
func Store(t *testing.T) *keep.Store {
	t.Helper()
	s, err := keep.Open(filepath.Join(t.TempDir(), "state"), append(link.Kinds(), ovs.Kind())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Lines are what was written, which may be read meanwhile.
type Lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// MakeNIC makes an interface, for the length of the test, that is the host's own.
func MakeNIC(t *testing.T, name, mac string) {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	Must(t, err)
	defer h.Close()
	a := netlink.NewLinkAttrs()
	a.Name = name
	a.HardwareAddr, err = net.ParseMAC(mac)
	Must(t, err)
	nic := &netlink.Veth{LinkAttrs: a, PeerName: name + "-wire"}
	Must(t, h.LinkAdd(nic))
	t.Cleanup(func() { nstest.DelLink(t, name+"-wire") })
	Must(t, h.LinkSetUp(nic))
	wire, err := h.LinkByName(nic.PeerName)
	Must(t, err)
	Must(t, h.LinkSetUp(wire))
}

// ByName finds guests by the words of records.
func ByName(word string) pipework.Target {
	return ns.Named(strings.TrimPrefix(word, "netns:"))
}

// Outdate makes the only record of the Store one of version 1.
func Outdate(t *testing.T, s *keep.Store, text string) {
	t.Helper()
	files, err := filepath.Glob(s.Dir() + "/*.json")
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	Must(t, os.WriteFile(files[0], []byte(text), 0o600))
}

// InGuest calls do with the links of a guest, as its root has them.
func InGuest(t *testing.T, g *ns.Guest, do func(h *netlink.Handle)) {
	t.Helper()
	h, err := netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
	Must(t, err)
	defer h.Close()
	do(h)
}

func LinkOf(t *testing.T, h *netlink.Handle, name string) netlink.Link {
	t.Helper()
	l, err := h.LinkByName(name)
	Must(t, err)
	return l
}

func Addrs(words ...string) (all []netip.Prefix) {
	for _, w := range words {
		all = append(all, netip.MustParsePrefix(w))
	}
	return all
}

// LineOf is the line of these words.
func LineOf(t *testing.T, words string) config.Line {
	t.Helper()
	line, err := config.Parse(strings.Fields(words))
	if err != nil {
		t.Fatal(err)
	}
	return line
}

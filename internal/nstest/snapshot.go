//go:build linux

package nstest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// A World is everything that pipework may change. The links, addresses, routes,
// rules and shaping of some namespaces are lines that are compared as text; they are
// read with the netlink library, not with the code under test. Of this process's
// goroutines, open files and threads in other namespaces there may be fewer
// afterwards, but not more.
type World struct {
	guests []*ns.Handle
	others []func(testing.TB) string
	lines  []string
	held   map[string]int // goroutines, files by what they are, threads by the namespace
}

// Observe reads the world, the host's namespace and these guests, once it has
// come to rest.
func Observe(t testing.TB, guests ...*ns.Handle) *World {
	t.Helper()
	w := &World{guests: guests}
	testwait.Eventually(t, "the world comes to rest", func() bool {
		before, resting := w.lines, !w.restless(t) // asked before it is read: it may come to rest between
		w.lines, w.held = w.read(t), held(t)
		return slices.Equal(before, w.lines) && resting
	})
	return w
}

// Also has the world comprise what f reads, too, which is outside of the kernel.
func (w *World) Also(t testing.TB, f func(testing.TB) string) {
	t.Helper()
	w.others = append(w.others, f)
	w.lines = w.read(t)
}

// Unchanged fails the test unless the world is as it was, or soon is again:
// the kernel cleans up some things behind the caller's back, as does the
// goroutine that closes a packet socket, and an IPv6 address that came back is
// checked for duplicates first.
func (w *World) Unchanged(t testing.TB) {
	t.Helper()
	w.compare(t, func(lines []string) []string { return lines })
}

// Alike is Unchanged for links that were recreated: their MACs may be random, and
// their indexes, which number tables of routes, are others.
func (w *World) Alike(t testing.TB) {
	t.Helper()
	anew := regexp.MustCompile(`mac=[0-9a-f:]+|table 21474[0-9]+`)
	w.compare(t, func(lines []string) []string {
		masked := slices.Clone(lines)
		for i, line := range lines {
			masked[i] = anew.ReplaceAllString(line, "")
		}
		return masked
	})
}

func (w *World) compare(t testing.TB, as func([]string) []string) {
	t.Helper()
	var diff string
	for end := time.Now().Add(testwait.Patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if diff = cmp.Diff(as(w.lines), as(w.read(t))) + w.leaks(t); diff == "" {
			return
		}
	}
	t.Errorf("the world has changed (-before +after):\n%s", diff)
}

func (w *World) read(t testing.TB) []string {
	t.Helper()
	lines := describe(t, "host", nil)
	for i, g := range w.guests {
		lines = append(lines, describe(t, fmt.Sprintf("guest %d", i+1), g)...)
	}
	for _, f := range w.others {
		lines = append(lines, strings.Split(f(t), "\n")...)
	}
	return lines
}

// leaks lists what this process holds more of than before.
func (w *World) leaks(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	now := held(t)
	for _, what := range slices.Sorted(maps.Keys(now)) {
		if now[what] > w.held[what] {
			fmt.Fprintf(&b, "%s: %d before, %d after\n", what, w.held[what], now[what])
		}
	}
	return b.String()
}

func held(t testing.TB) map[string]int {
	t.Helper()
	count := map[string]int{"goroutines": runtime.NumGoroutine()}
	fds, err := filepath.Glob("/proc/self/fd/*")
	must(t, err)
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil {
			kind, _, _ := strings.Cut(to, ":")
			count["open "+kind]++
		}
	}
	countStrayThreads(t, count)
	return count
}

// countStrayThreads counts this process's threads that are not at home, where the caller's
// is. The first one is left out: Go parks it for good, wherever it is, when it would end
// another.
func countStrayThreads(t testing.TB, count map[string]int) {
	t.Helper()
	home, err := os.Readlink("/proc/thread-self/ns/net")
	must(t, err)
	first := fmt.Sprintf("/proc/self/task/%d/ns/net", os.Getpid())
	threads, err := os.ReadDir("/proc/self/task")
	must(t, err)
	for _, thread := range threads {
		thread := "/proc/self/task/" + thread.Name() + "/ns/net"
		if at, err := os.Readlink(thread); err == nil && at != home && thread != first {
			count["threads in "+at]++
		}
	}
}

// handle opens a netlink handle in a namespace; nil is the process's own.
func handle(t testing.TB, at *ns.Handle) *netlink.Handle {
	t.Helper()
	space := netns.None()
	if at != nil {
		space = at.NetNS()
	}
	h, err := netlink.NewHandleAt(space, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// describe lists one namespace; nil is the process's own.
func describe(t testing.TB, where string, at *ns.Handle) []string {
	t.Helper()
	h := handle(t, at)
	defer func() { _ = h.Close() }()
	links := dump(t, h.LinkList)
	byIndex := map[int]string{}
	for _, l := range links {
		byIndex[l.Attrs().Index] = l.Attrs().Name
	}
	var lines []string
	for _, l := range links {
		a := l.Attrs()
		lines = append(lines, fmt.Sprintf("%s link %s %s up=%v mtu=%d mac=%s master=%s alias=%q altnames=%v group=%d", where, a.Name, l.Type(),
			a.RawFlags&unix.IFF_UP != 0, a.MTU, a.HardwareAddr, byIndex[a.MasterIndex], a.Alias, a.AltNames, a.Group))
	}
	addrs := dump(t, func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	for _, a := range addrs {
		if a.IP.IsLinkLocalUnicast() {
			continue // made by the kernel, some time after the link is up
		}
		lines = append(lines, fmt.Sprintf("%s addr %s brd=%v dev %s", where, a.IPNet, a.Broadcast, byIndex[a.LinkIndex]))
	}
	routes := dump(t, func() ([]netlink.Route, error) {
		return h.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	})
	for _, r := range routes {
		if r.Type != unix.RTN_MULTICAST && (r.Dst == nil || !r.Dst.IP.IsLinkLocalUnicast()) { // likewise
			dev := byIndex[r.LinkIndex] // indexes change as links move
			lines = append(lines, fmt.Sprintf("%s route %v via %v src %v dev %s table %d metric %d proto %d scope %d type %d flags %d mtu %d nexthops %v",
				where, r.Dst, r.Gw, r.Src, dev, r.Table, r.Priority, r.Protocol, r.Scope, r.Type, r.Flags, r.MTU, r.MultiPath))
		}
	}
	rules := dump(t, func() ([]netlink.Rule, error) { return h.RuleList(netlink.FAMILY_ALL) })
	for _, r := range rules {
		lines = append(lines, fmt.Sprintf("%s rule %s", where, r))
	}
	for _, q := range dump(t, func() ([]netlink.Qdisc, error) { return h.QdiscList(nil) }) {
		if kind := q.Type(); kind == "tbf" || kind == "netem" || kind == "clsact" { // the kernel makes the others by itself
			lines = append(lines, fmt.Sprintf("%s qdisc %s dev %s", where, kind, byIndex[q.Attrs().LinkIndex]))
		}
	}
	if at == nil {
		lines = append(lines, tables(t)...)
	}
	slices.Sort(lines)
	return lines
}

// tables are those of nftables in the host's namespace; none where the kernel has no nftables.
func tables(t testing.TB) (lines []string) {
	t.Helper()
	var c nftables.Conn
	all, err := c.ListTables()
	if err != nil && !errors.Is(err, unix.EPROTONOSUPPORT) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM) {
		must(t, err)
	}
	for _, table := range all {
		lines = append(lines, fmt.Sprintf("host nftables table %d %s", table.Family, table.Name))
	}
	return lines
}

// dump repeats a list until nobody changed it meanwhile.
func dump[T any](t testing.TB, list func() ([]T, error)) []T {
	t.Helper()
	all, err := Whole(list)
	must(t, err)
	return all
}

// Whole is what list gives once nobody changes it meanwhile.
func Whole[T any](list func() ([]T, error)) ([]T, error) {
	all, err := list()
	for try := 1; try < 100 && errors.Is(err, netlink.ErrDumpInterrupted); try++ {
		all, err = list()
	}
	return all, err
}

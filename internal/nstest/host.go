//go:build linux

package nstest

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// runClean runs the tests, and fails if they leave interfaces on their host, where
// a later test would find them.
func runClean(m *testing.M) (status int) {
	before := interfaces()
	left := func() (names []string) {
		for index, name := range interfaces() {
			if before[index] == "" {
				names = append(names, name)
			}
		}
		return names
	}
	if status = m.Run(); status != 0 {
		return status
	}
	for end := time.Now().Add(testwait.Patience); len(left()) > 0; time.Sleep(10 * time.Millisecond) { // the kernel removes dead guests in its own time
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, "the tests leave interfaces on their host:", left())
			return 1
		}
	}
	return 0
}

// CleanHost has the host at the end of the test without the bridges that the test
// leaves, those of guests that died without a detach.
func CleanHost(t testing.TB) {
	before := interfaces()
	t.Cleanup(func() {
		h := onHost(t)
		defer func() { _ = h.Close() }()
		all, err := Whole(h.LinkList)
		must(t, err)
		for _, l := range all {
			if before[l.Attrs().Index] == "" && l.Type() == "bridge" {
				must(t, h.LinkDel(l))
			}
		}
	})
}

// pairsOf are the host's ends of pairs in a guest, by index: not of NICs, which some tests
// have be pairs. It is nil where the guest has ended already.
func pairsOf(t testing.TB, guest ns.Target) (ends []int) {
	g, err := guest.Open(context.Background())
	if err != nil {
		return nil
	}
	defer func() { _ = g.Close() }()
	h := inside(t, g)
	defer func() { _ = h.Close() }()
	all, err := Whole(h.LinkList)
	must(t, err)
	for _, l := range all {
		a := l.Attrs()
		if ours := strings.HasPrefix(a.Alias, "pipework link=") && !strings.HasPrefix(a.Alias, "pipework link=phys"); ours && l.Type() == "veth" {
			ends = append(ends, a.ParentIndex)
		}
	}
	return ends
}

// gone waits until the host has no pair's end of these any more: the kernel removes those of
// dead guests in its own time, and a later test would find them.
func gone(t testing.TB, ends []int) {
	testwait.Eventually(t, "the pairs of a dead guest are gone", func() bool {
		now := interfaces()
		return !slices.ContainsFunc(ends, func(index int) bool { return now[index] != "" })
	})
}

// interfaces are the host's, by index, which stays where the name changes.
func interfaces() map[int]string {
	is, err := net.Interfaces()
	if err != nil {
		panic(err)
	}
	names := map[int]string{}
	for _, i := range is {
		names[i.Index] = i.Name
	}
	return names
}

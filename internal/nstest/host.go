//go:build linux

package nstest

import (
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/testwait"
)

// runClean runs the tests, and fails if they leave interfaces on their host, where
// a later test would find them.
func runClean(m *testing.M) (status int) {
	left := interfacesSince()
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

// CleanHost deletes at the end of the test the interfaces that it leaves on its
// host: bridges of guests that died without a detach.
func CleanHost(t testing.TB) {
	left := interfacesSince()
	t.Cleanup(func() {
		h := onHost(t)
		defer func() { _ = h.Close() }()
		for _, name := range left() {
			l, err := h.LinkByName(name)
			if err == nil {
				err = h.LinkDel(l)
			}
			if NoLink(t, name) != nil { // it may have gone with its other end, or its guest
				must(t, err)
			}
		}
	})
}

// interfacesSince returns a function that names the interfaces of the host that are
// there only since the call.
func interfacesSince() func() []string {
	before := interfaces()
	return func() []string {
		return slices.DeleteFunc(interfaces(), func(name string) bool { return slices.Contains(before, name) })
	}
}

func interfaces() (names []string) {
	is, err := net.Interfaces()
	if err != nil {
		panic(err)
	}
	for _, i := range is {
		names = append(names, i.Name)
	}
	return names
}

//go:build linux

package nstest

import (
	"fmt"
	"net"
	"os"
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

// CleanHost deletes at the end of the test the bridges that it leaves on its host:
// those of guests that died without a detach.
func CleanHost(t testing.TB) {
	left := interfacesSince()
	t.Cleanup(func() {
		h := onHost(t)
		defer func() { _ = h.Close() }()
		for _, name := range left() {
			if l, err := h.LinkByName(name); err == nil && l.Type() == "bridge" {
				must(t, h.LinkDel(l))
			}
		}
	})
}

// interfacesSince returns a function that names the interfaces of the host that were
// made since the call.
func interfacesSince() func() []string {
	before := interfaces()
	return func() (names []string) {
		for index, name := range interfaces() {
			if before[index] == "" {
				names = append(names, name)
			}
		}
		return names
	}
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

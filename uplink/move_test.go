//go:build linux

package uplink_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/uplink"
)

// TestMove moves all that a NIC can have, and back.
func TestMove(t *testing.T) { sorts(t, testMove) }

func testMove(t *testing.T, as sort) {
	s := newScene(t, "net.ipv6.conf.default.accept_dad=1")
	as.on(t, s)
	s.richly(t)
	before := s.snapshot(t)
	routes := func(dev string) string {
		return show(t, s.host, "-4 route show table all type unicast dev "+dev) + show(t, s.host, "-6 route show table all type unicast dev "+dev)
	}
	had := routes("nic0")
	m, err := uplink.Move(t.Context(), s.plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range m.Warnings {
		t.Error(w)
	}
	if m.Existed || len(m.Addrs) != 13 || m.Routes == 0 {
		t.Errorf("%+v", m)
	}
	withoutLL := func(s string) (lines []string) {
		for line := range strings.Lines(s) {
			if !strings.HasPrefix(line, "fe80::/64") {
				lines = append(lines, strings.ReplaceAll(line, "linkdown ", ""))
			}
		}
		return lines
	}
	if diff := cmp.Diff(withoutLL(had), withoutLL(routes("br0"))); diff != "" {
		t.Errorf("the bridge's routes are not what the NIC's were:\n%s", diff)
	}
	if left := withoutLL(routes("nic0")); len(left) > 0 {
		t.Errorf("the NIC still has %q", left)
	}
	nstest.Ping(t, s.remote.Handle, "10.0.0.2")
	nstest.Ping(t, s.remote.Handle, "fd00::2")
	nstest.Ping(t, s.host.Handle, "10.9.0.2")
	again, err := uplink.Move(t.Context(), s.plan)
	if err != nil || !again.Existed {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	m, err = uplink.Undo(t.Context(), s.plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range m.Warnings {
		t.Error(w)
	}
	s.unchanged(t, before)
}

//go:build linux

package pipework_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
)

// TestNamesOfNICsAway asks for links on the host by the names of a NIC that is in a guest:
// they are refused, nothing is made, and the NIC comes home.
func TestNamesOfNICsAway(t *testing.T) {
	addPhys(t, physVeth())
	holder, g := nstest.Guest(t)
	other, og := nstest.Guest(t)
	before := nstest.Observe(t, g.Handle)
	attach(t, holder, nic0)
	away := nstest.Observe(t, g.Handle, og.Handle)
	for name, l := range map[string]link.Backend{
		"host's end of a bridge": link.Bridge{Name: "br1", HostName: "nic0"},
		"altname":                link.Bridge{Name: "br1", HostName: "enp9s0f1"},
		"pair":                   link.Veth{HostName: "nic0"},
	} {
		_, err := pipework.Attach(t.Context(), other, pipework.Spec{Link: l})
		if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "is the name of a NIC of the host") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		away.Unchanged(t)
	}
	detach(t, holder, nic0)
	before.Unchanged(t)
}

// TestBridgeNamedAsANICAway has a NIC with a name that a bridge would be made by.
func TestBridgeNamedAsANICAway(t *testing.T) {
	l := physVeth()
	l.Attrs().Name = "brlan"
	addPhys(t, l)
	holder, g := nstest.Guest(t)
	other, _ := nstest.Guest(t)
	before := nstest.Observe(t, g.Handle)
	nic := pipework.Spec{Link: link.Phys{Device: "brlan"}}
	attach(t, holder, nic)
	if _, err := pipework.Attach(t.Context(), other, spec("eth1", "brlan", "10.1.0.2/24")); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a bridge: %v", err)
	}
	detach(t, holder, nic)
	before.Unchanged(t)
}

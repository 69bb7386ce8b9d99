//go:build linux

package keep_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ovs"
)

// TestBridgeAtBoot has a bridge of Open vSwitch whose device is not there yet, and
// then no database: no Linux bridge takes its place.
func TestBridgeAtBoot(t *testing.T) {
	db := ovstest.Start(t)
	db.Vsctl(t, "--no-wait", "add-br", "br-boot")
	p := keep.Plugger{Target: byText(words), OVS: &ovs.Client{Endpoint: db.Endpoint}}
	t.Cleanup(func() { _ = p.OVS.Close() })
	line := lineOf(t, "br-boot netns:web 10.0.0.2/24")
	if s, err := p.Declared(t.Context(), line); err != nil || s.Spec.Link.String() != "ovs:br-boot" {
		t.Errorf("%v, %v", s.Spec.Link, err)
	}
	db.Server.Kill()
	if s, err := p.Declared(t.Context(), line); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a database: %v, %v", s.Spec.Link, err)
	}
	outright := lineOf(t, "bridge:br-boot netns:web 10.0.0.2/24")
	if s, err := p.Declared(t.Context(), outright); err != nil || s.Spec.Link.String() != "bridge:br-boot" {
		t.Errorf("said outright: %v, %v", s.Spec.Link, err)
	}
}

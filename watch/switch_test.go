//go:build linux

package watch_test

import (
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
	"github.com/go-pipework/pipework/watch"
)

// TestTakesOutFormerUplinks has Open vSwitch start after watch, with a database that has NICs of the
// host in bridges since before the machine started again: they are taken out, and bridges are what
// they were.
func TestTakesOutFormerUplinks(t *testing.T) {
	db := ovstest.Start(t)
	const uplink = "external_ids:pipework.made=uplink"
	db.Vsctl(t, strings.Fields("--no-wait add-br ovs1 -- set bridge ovs1 external_ids:pipework.made=bridge -- add-port ovs1 eth8 -- set port eth8 external_ids:pipework.boot=former "+uplink)...)
	db.Vsctl(t, strings.Fields("--no-wait add-br lan -- set bridge lan other_config:hwaddr=02:00:00:00:00:01 -- add-port lan eth9 -- set port eth9 external_ids:pipework.boot=former external_ids:pipework.hwaddr=02:00:00:00:00:09 "+uplink)...)
	db.Vsctl(t, strings.Fields("--no-wait add-port lan eth7 -- set port eth7 external_ids:pipework.boot="+ns.BootID()+" "+uplink)...)
	db.Server.Kill()
	client := &ovs.Client{Endpoint: db.Endpoint}
	p := keep.Plugger{Store: store(t), OVS: client}
	w := runWatcher(t, &watch.Watcher{Plugger: p})
	testwait.Eventually(t, "it runs", func() bool { return strings.Contains(w.said.String(), "watching") })
	db.Restart(t)
	testwait.Eventually(t, "the NICs are taken out", func() bool {
		return strings.TrimSpace(db.Vsctl(t, "--no-wait", "list-ports", "lan")) == "eth7" && !strings.Contains(db.Vsctl(t, "--no-wait", "list-br"), "ovs1")
	})
	if mac := strings.TrimSpace(db.Vsctl(t, "--no-wait", "get", "bridge", "lan", "other_config:hwaddr")); mac != `"02:00:00:00:00:09"` {
		t.Errorf("the bridge has the MAC %s", mac)
	}
	w.end()
	_ = client.Close()
}

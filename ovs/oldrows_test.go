//go:build linux

package ovs

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// said is a server that always answers the same.
type said []byte

func (s said) Transact(context.Context, ...libovsdb.Operation) (all []libovsdb.OperationResult, err error) {
	return all, json.Unmarshal(s, &all)
}

// TestRowsOfVersion0 reads the rows that version 0 made in Open vSwitch (see
// keep/testdata/write.sh), which never change: a later version has to know its
// ports and bridges by their external_ids.
func TestRowsOfVersion0(t *testing.T) {
	text, err := os.ReadFile("testdata/rows-v0.json")
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{Transactor: said(text)}
	tables, err := c.transact(t.Context(), "read", make([]ovsdb.Op, 2)) // the ports, and the bridges
	if err != nil {
		t.Fatal(err)
	}
	port := func(bridge, iface, guest, netns, spec, vlan string) map[string]string {
		m := link.Mark{Link: "ovs:" + bridge, Interface: iface, Spec: spec, Guest: ns.Identity{Name: guest}}
		ids := map[string]string{
			keyMade: madePort, keyBridge: bridge, keyInterface: iface, keyContainerName: guest, keyNetNS: netns, keyMark: m.String(),
		}
		if vlan != "" {
			ids[keyVLAN] = vlan
		}
		return ids
	}
	want := map[string]map[string]string{
		"vpla7d22f8fbecc": port("ovs0", "eth1", "netns:ovs", "4:4026533290", "363b4d087dbeb9af", ""),
		"vovs":            port("ovs0", "lan1", "netns:ovs-vlan", "4:4026533346", "945b79942fc16624", "100"),
		"vplb1571d89dae2": port("ovs7", "eth1", "netns:ovs-made", "4:4026533402", "dd40d1444497eafc", ""),
		"vplc5c5f71ef61e": port("ovs0", "eth1", "netns:ovs-dhcp", "4:4026533459", "9b245b30e6f884c2", ""),
		"ovs7":            {keyMade: madeBridge},
	}
	got := map[string]map[string]string{}
	for _, rows := range tables {
		for _, row := range rows {
			got[row.Text("name")] = row.Texts("external_ids")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

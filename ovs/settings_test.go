//go:build linux

package ovs_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ovs"
)

// TestAdministratorsSettings has an administrator set on a port what its Bridge does not
// ask for: that is no drift, and stays, whatever is called; what the Bridge asks for is
// compared, and mended, all the same.
func TestAdministratorsSettings(t *testing.T) {
	for _, tc := range []struct {
		name   string
		bridge ovs.Bridge
		set    string // what the administrator sets
		drift  string
		want   []string // of tag, trunks, vlan_mode, other_config after an attach
	}{
		{"trunks", ovs.Bridge{}, "trunks=10,20", "", []string{"[]", "[10, 20]", "[]", "{}"}},
		{"tag", ovs.Bridge{}, "tag=10", "", []string{"10", "[]", "[]", "{}"}},
		{"native", ovs.Bridge{}, "tag=10 trunks=10,20 vlan_mode=native-untagged", "", []string{"10", "[10, 20]", "native-untagged", "{}"}},
		{"config", ovs.Bridge{}, "other_config:priority-tags=always", "", []string{"[]", "[]", "[]", "{priority-tags=always}"}},
		{"config beside ours", ovs.Bridge{OtherConfig: map[string]string{"a": "b"}}, "other_config:priority-tags=always", "", []string{"[]", "[]", "[]", "{a=b, priority-tags=always}"}},
		{"our config", ovs.Bridge{OtherConfig: map[string]string{"a": "b"}}, "other_config:a=c other_config:x=y", "other_config of port vport differ in a", []string{"[]", "[]", "[]", "{a=b, x=y}"}},
		{"trunks of an access port", ovs.Bridge{Tag: 5}, "trunks=10,20", "", []string{"5", "[10, 20]", "[]", "{}"}},
		{"mode that is implied", ovs.Bridge{Tag: 5}, "vlan_mode=access", "", []string{"5", "[]", "access", "{}"}},
		{"our trunks", ovs.Bridge{Trunks: []int{7, 8}}, "trunks=10,20 other_config:x=y", "trunks of port vport is 10 20 instead of 7 8", []string{"[]", "[7, 8]", "[]", "{x=y}"}},
		{"our trunk port", ovs.Bridge{Trunks: []int{7, 8}}, "tag=10", "tag of port vport is 10 instead of none", []string{"[]", "[7, 8]", "[]", "{}"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db, c := dummy(t)
			addBridge(t, db, "lan")
			target, _ := nstest.Guest(t)
			tc.bridge.Name, tc.bridge.HostName, tc.bridge.Client = "lan", "vport", c
			s := spec(tc.bridge, "10.0.0.1/24")
			attach(t, target, s)
			db.Vsctl(t, append([]string{"set", "port", "vport"}, strings.Fields(tc.set)...)...)
			at, err := pipework.Check(t.Context(), target, s)
			if err != nil || strings.Join(at.Drifts, "; ") != tc.drift {
				t.Errorf("check: %+v, %v; want %q", at, err, tc.drift)
			}
			has := func(when string) {
				t.Helper()
				got := strings.Split(strings.TrimSpace(db.Vsctl(t, "get", "port", "vport", "tag", "trunks", "vlan_mode", "other_config")), "\n")
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%s: %s", when, diff)
				}
			}
			attach(t, target, s)
			has("attach")
			more := spec(tc.bridge, "10.0.0.2/24")
			more.Add = true
			attach(t, target, more)
			has("addition")
			if _, err := pipework.Update(t.Context(), target, spec(tc.bridge, "10.0.0.3/24")); err != nil {
				t.Error(err)
			}
			has("update")
			detach(t, target, s)
		})
	}
}

// TestUpdateResets has an update take back what the last Bridge asked for, and leave what
// an administrator set.
func TestUpdateResets(t *testing.T) {
	db, c := dummy(t)
	addBridge(t, db, "lan")
	target, _ := nstest.Guest(t)
	s := spec(ovs.Bridge{Name: "lan", Trunks: []int{7, 8}, OtherConfig: map[string]string{"a key": "b"}, HostName: "vport", Client: c}, "10.0.0.1/24")
	attach(t, target, s)
	db.Vsctl(t, "set", "port", "vport", "other_config:x=y", "external_ids:theirs=1")
	plain := spec(ovs.Bridge{Name: "lan", HostName: "vport", Client: c}, "10.0.0.1/24")
	if _, err := pipework.Update(t.Context(), target, plain); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.TrimSpace(db.Vsctl(t, "get", "port", "vport", "trunks", "other_config", "external_ids:theirs")), "[]\n{x=y}\n\"1\""; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if at, err := pipework.Check(t.Context(), target, plain); err != nil || len(at.Drifts) > 0 {
		t.Errorf("%+v, %v", at, err)
	}
	// A port of an earlier version does not tell.
	db.Vsctl(t, "remove", "port", "vport", "external_ids", "pipework.settings", "--", "set", "port", "vport", "trunks=7")
	if at, err := pipework.Check(t.Context(), target, plain); err != nil || len(at.Drifts) > 0 {
		t.Errorf("of an earlier version: %+v, %v", at, err)
	}
	if _, err := pipework.Update(t.Context(), target, spec(ovs.Bridge{Name: "lan", HostName: "vport", Client: c}, "10.0.0.2/24")); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(db.Vsctl(t, "get", "port", "vport", "trunks")); got != "[]" {
		t.Error("trunks of an earlier version:", got)
	}
	detach(t, target, plain)
}

// TestTakenOver attaches to a port that an earlier version made, with and without what
// this Bridge asks for: its row does not tell what that version's asked for.
func TestTakenOver(t *testing.T) {
	db, c := dummy(t)
	addBridge(t, db, "lan")
	target, guest := nstest.Guest(t)
	s := spec(ovs.Bridge{Name: "lan", Trunks: []int{7, 8}, HostName: "vport", Client: c}, "10.0.0.1/24")
	attach(t, target, s)
	whole := db.Dump(t)
	outdate := func() {
		t.Helper()
		db.Vsctl(t, "remove", "port", "vport", "external_ids", "pipework.settings")
		h, err := netlink.NewHandleAt(guest.NetNS(), unix.NETLINK_ROUTE)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		l, err := h.LinkByName("eth1")
		if err != nil {
			t.Fatal(err)
		}
		mark, _ := link.ParseMark(l.Attrs().Alias)
		mark.Spec = "0123456789abcdef"
		if err := h.LinkSetAlias(l, mark.String()); err != nil {
			t.Fatal(err)
		}
	}
	outdate()
	attach(t, target, s)
	if diff := diff(whole, db.Dump(t)); diff != "" {
		t.Error(diff)
	}
	outdate()
	plain := spec(ovs.Bridge{Name: "lan", HostName: "vport", Client: c}, "10.0.0.1/24")
	if _, err := pipework.Attach(t.Context(), target, plain); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "trunks of port vport is 7 8 instead of none") {
		t.Error(err)
	}
	detach(t, target, plain)
}

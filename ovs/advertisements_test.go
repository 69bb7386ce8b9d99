//go:build linux

package ovs_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/ovs"
)

// TestHostFollowsNoRouter looks at what decides whether the host believes a guest's
// router advertisements: on the bridge's device, and on the host's end of the pair,
// which the host hears itself where Open vSwitch forwards in userspace.
func TestHostFollowsNoRouter(t *testing.T) {
	datapaths(t, func(t *testing.T, d ovstest.Datapath, setting string) {
		db := ovstest.Start(t)
		db.Switch(t, d, nil)
		target, _ := nstest.Guest(t)
		s := pipework.Spec{
			Link:  ovs.Bridge{Name: "ovs0", Datapath: setting, Client: shared(t, db)},
			Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")},
		}
		at, err := pipework.Attach(t.Context(), target, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"ovs0", at.HostName} {
			b, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + name + "/accept_ra")
			if err != nil || strings.TrimSpace(string(b)) != "0" {
				t.Errorf("accept_ra of %s: %q, %v", name, b, err)
			}
		}
		// As an earlier version left it.
		err = os.WriteFile("/proc/sys/net/ipv6/conf/"+at.HostName+"/accept_ra", []byte("1"), 0)
		if err != nil {
			t.Fatal(err)
		}
		if checked, err := pipework.Check(t.Context(), target, s); err != nil || len(checked.Drifts) != 1 {
			t.Errorf("check: %+v, %v", checked, err)
		}
		if _, err := pipework.Detach(t.Context(), target, s); err != nil {
			t.Error(err)
		}
	})
}

//go:build linux

package ovs_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ovs"
)

// TestContract runs on each datapath that is to be had: the dummy one without
// root, the userspace one with it, the kernel's in the lane uml.
func TestContract(t *testing.T) {
	for _, c := range []struct {
		name     string
		datapath ovstest.Datapath
		setting  string
	}{
		{"dummy", ovstest.Dummy, ovs.Netdev},
		{"userspace", ovstest.Userspace, ovs.Netdev},
		{"kernel", ovstest.Kernel, ovs.System},
	} {
		peers := c.datapath != ovstest.Dummy
		t.Run(c.name+", bridge made", func(t *testing.T) {
			contract.Run(t, contract.Case{Peers: peers, Many: c.datapath == ovstest.Dummy, Setup: func(t testing.TB) link.Backend {
				db := ovstest.Start(t)
				db.Standard(t)
				db.Switch(t, c.datapath, nil)
				unchanged(t, db)
				return ovs.Bridge{Name: "ovs0", Tag: 100, Datapath: c.setting}
			}})
		})
		t.Run(c.name+", bridge there", func(t *testing.T) {
			contract.Run(t, contract.Case{Peers: peers, Setup: func(t testing.TB) link.Backend {
				db := ovstest.Start(t)
				db.Switch(t, c.datapath, nil)
				db.Vsctl(t, "add-br", "lan", "--", "set", "bridge", "lan", "datapath_type="+c.setting)
				unchanged(t, db)
				return ovs.Bridge{Name: "lan", Client: shared(t, db)}
			}})
		})
	}
	t.Run("dummy, fake bridge", func(t *testing.T) {
		contract.Run(t, contract.Case{Many: true, Setup: func(t testing.TB) link.Backend {
			db, c := dummy(t)
			addFake(t, db, "br-v30", 30)
			unchanged(t, db)
			return ovs.Bridge{Name: "br-v30", Client: c}
		}})
	})
}

// TestContractPinned has guests whose flows are compared after each step, too. What passes on a
// datapath that forwards is TestPin's; make test-long runs this on one, too.
func TestContractPinned(t *testing.T) {
	datapaths, long := []ovstest.Datapath{ovstest.Dummy}, os.Getenv("PIPEWORK_LONG") != ""
	if long {
		datapaths = append(datapaths, ovstest.Userspace)
	}
	for _, d := range datapaths {
		forwards := d == ovstest.Userspace
		t.Run(map[bool]string{false: "dummy", true: "userspace"}[forwards], func(t *testing.T) {
			c := contract.Case{Peers: forwards, Many: long && !forwards}
			var db *ovstest.Database
			c.Setup = func(t testing.TB) link.Backend {
				db = ovstest.Start(t)
				db.Switch(t, d, nil)
				db.Vsctl(t, "add-br", "lan", "--", "set", "bridge", "lan", "datapath_type=netdev")
				unchanged(t, db)
				return ovs.Bridge{Name: "lan", Client: shared(t, db)}
			}
			c.Change = func(s *pipework.Spec) { s.Pin = true }
			own := regexp.MustCompile("(in_port|cookie)=[0-9a-fx]+") // of which each new port has others
			c.Outside = func(t testing.TB) string { return own.ReplaceAllString(db.Flows(t, "lan"), "$1=N") }
			contract.Run(t, c)
		})
	}
}

// unchanged fails the test when it leaves a row.
func unchanged(t testing.TB, db *ovstest.Database) {
	t.Helper()
	before := db.Dump(t)
	t.Cleanup(func() {
		if after := db.Dump(t); after != before {
			t.Errorf("the database was\n%s\nand is\n%s", before, after)
		}
	})
}

// shared is a connected client for the length of the test.
func shared(t testing.TB, db *ovstest.Database) *ovs.Client {
	t.Helper()
	c := &ovs.Client{Endpoint: db.Endpoint}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.IsBridge(t.Context(), "any"); err != nil {
		t.Fatal(err)
	}
	return c
}

//go:build linux

package ovs_test

import (
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ovs"
)

// TestPlanRefuses has a Plan refuse what Attach does, in the same words.
func TestPlanRefuses(t *testing.T) {
	db, c := dummy(t)
	db.Vsctl(t, "--no-wait", "add-br", "ovs0", "--", "set", "bridge", "ovs0", "datapath_type=netdev",
		"--", "add-br", "fake0", "ovs0", "30", "--", "add-port", "ovs0", "foreign0")
	target, _ := nstest.Guest(t)
	other, _ := nstest.Guest(t)
	end := attach(t, other, pipework.Spec{Link: ovs.Bridge{Name: "ovs0", HostName: "taken0", Client: c}})
	for name, b := range map[string]ovs.Bridge{
		"no bridge":           {Name: "br9"},
		"another datapath":    {Name: "ovs0", Datapath: ovs.System},
		"VLAN of a fake one":  {Name: "fake0", Tag: 31},
		"name of a device":    {Name: "ovs0", HostName: end.HostName},
		"name of a port":      {Name: "ovs0", HostName: "foreign0"},
		"no name":             {Name: "ovs0", HostName: "a/b"},
		"a bridge's own name": {Name: "ovslab", HostName: end.HostName},
	} {
		t.Run(name, func(t *testing.T) {
			b.Client = c
			s := pipework.Spec{Link: b}
			_, planned := new(pipework.Attacher).Plan(t.Context(), target, s)
			_, err := pipework.Attach(t.Context(), target, s)
			if err == nil || planned == nil || planned.Error() != err.Error() {
				t.Errorf("attach: %v\n  plan: %v", err, planned)
			}
		})
	}
	at, err := new(pipework.Attacher).Plan(t.Context(), target, pipework.Spec{Link: ovs.Bridge{Name: "ovslab", Client: c}})
	if err != nil || len(at.Plan) == 0 || at.Plan[0] != "make bridge ovslab of Open vSwitch" {
		t.Errorf("%+v, %v", at, err)
	}
	detach(t, other, pipework.Spec{Link: ovs.Bridge{Name: "ovs0", Client: c}})
}

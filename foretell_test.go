//go:build linux

package pipework_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// refusedAlike has a Plan refuse what Attach does, in the same words, and neither change
// anything.
func refusedAlike(t *testing.T, target pipework.Target, rows map[string]pipework.Spec) {
	t.Helper()
	for name, s := range rows {
		t.Run(name, func(t *testing.T) {
			world := nstest.Observe(t)
			_, planned := new(pipework.Attacher).Plan(t.Context(), target, s)
			_, err := pipework.Attach(t.Context(), target, s)
			world.Unchanged(t)
			if err == nil || planned == nil || planned.Error() != err.Error() {
				t.Errorf("attach: %v\n  plan: %v", err, planned)
			}
		})
	}
}

// TestPlanRefuses asks for what cannot be, for each of the ways in which a backend refuses.
func TestPlanRefuses(t *testing.T) {
	for _, name := range []string{"nic0", "port0", "alone0", "under0", "gone0"} {
		addNIC(t, name)
	}
	lan := addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	onHost(t, func(h *netlink.Handle) {
		port, err := h.LinkByName("port0")
		must(t, err)
		must(t, h.LinkSetMaster(port, lan))
		must(t, h.LinkAddAltName(port, "br-port0"))
	})
	guest, _ := nstest.Guest(t)
	other, _ := nstest.Guest(t)
	third := nstest.Process(t)
	attach(t, other, pipework.Spec{Name: "solo", Link: link.Macvlan{Parent: "alone0", Mode: link.MacvlanPassthru}})
	attach(t, other, pipework.Spec{Name: "shared", Link: link.Macvlan{Parent: "under0"}})
	attach(t, other, pipework.Spec{Name: "away", Link: link.Phys{Device: "gone0"}})
	peer := link.Veth{Peer: ns.Ref{Kind: ns.Process, Name: strconv.Itoa(third.PID)}, PeerName: "lo"}
	self := link.Veth{Peer: ns.Ref{Kind: ns.Netns, Name: string(guest)}, PeerName: "eth7"}
	refusedAlike(t, guest, map[string]pipework.Spec{
		"no bridge":                   {Link: link.Bridge{Name: "lab"}},
		"not a bridge":                {Link: link.Bridge{Name: "nic0"}},
		"a bridge without VLANs":      {Link: link.Bridge{Name: "lan", VLAN: 100}},
		"trunks, and no VLANs":        {Link: link.Bridge{Name: "lan", Trunks: []int{10}}},
		"host end's name taken":       {Link: link.Bridge{Name: "lan", HostName: "nic0"}},
		"host end's altname taken":    {Link: link.Bridge{Name: "lan", HostName: "br-port0"}},
		"host end as a NIC away":      {Link: link.Bridge{Name: "lan", HostName: "gone0"}},
		"pair's host end taken":       {Link: link.Veth{HostName: "nic0"}},
		"pair's host end as a NIC":    {Link: link.Veth{HostName: "gone0"}},
		"pair to nobody":              {Link: link.Veth{Peer: ns.Ref{Kind: ns.Netns, Name: "nobody"}, PeerName: "eth7"}},
		"pair to itself":              {Link: self},
		"pair's other end taken":      {Link: peer},
		"no parent":                   {Link: link.Macvlan{Parent: "nic9"}},
		"parent away":                 {Link: link.Macvlan{Parent: "gone0"}},
		"parent is loopback":          {Link: link.Macvlan{Parent: "lo"}},
		"parent of ipvlan gone":       {Link: link.Ipvlan{Parent: "nic9"}},
		"parent of a VLAN gone":       {Link: link.VLAN{Parent: "nic9", VLAN: 5}},
		"MTU above the NIC's":         {Link: link.Macvlan{Parent: "nic0"}, MTU: 9000},
		"own VLAN's MTU":              {Link: link.VLAN{Parent: "nic0", VLAN: 5}, MTU: 9000},
		"MTU of nothing":              {Link: link.Bridge{Name: "lan"}, MTU: 1},
		"a port of a bridge":          {Link: link.Macvlan{Parent: "port0"}},
		"one that passthru has":       {Link: link.Macvlan{Parent: "alone0"}},
		"passthru of one that others": {Link: link.Macvlan{Parent: "under0", Mode: link.MacvlanPassthru}},
		"not IPoIB":                   {Link: link.IPoIB{Parent: "nic0"}},
		"no IPoIB":                    {Link: link.IPoIB{Parent: "ib9"}},
		"no NIC":                      {Link: link.Phys{Device: "nic9"}},
		"the loopback":                {Link: link.Phys{Device: "lo"}},
		"a bridge as NIC":             {Link: link.Phys{Device: "lan"}},
		"a port as NIC":               {Link: link.Phys{Device: "port0"}},
		"a NIC away":                  {Link: link.Phys{Device: "gone0"}},
		"pin on a macvlan":            {Link: link.Macvlan{Parent: "nic0"}, Pin: true},
		"pin on a NIC":                {Link: link.Phys{Device: "nic0"}, Pin: true},
		"pin on a pair of two":        {Link: peer, Pin: true},
		"MAC of ipvlan":               {Link: link.Ipvlan{Parent: "nic0"}, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}},
	})
	onHost(t, func(h *netlink.Handle) { // as a guest has it, or somebody else
		nic, err := h.LinkByName("nic0")
		must(t, err)
		must(t, h.LinkAddAltName(nic, "lo2"))
		must(t, h.RouteAdd(&netlink.Route{LinkIndex: nic.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}, Table: 254}))
	})
	refusedAlike(t, guest, map[string]pipework.Spec{"the default route's NIC": {Link: link.Phys{Device: "nic0"}}})
	attach(t, guest, pipework.Spec{Name: "lo2", Link: link.Bridge{Name: "lan"}})
	refusedAlike(t, guest, map[string]pipework.Spec{
		"an altname taken":     {Link: link.Phys{Device: "nic0", AllowDefaultRoute: true}},
		"the interface's name": {Name: "lo2", Link: link.Macvlan{Parent: "nic0"}},
		"loopback's name":      {Name: "lo", Link: link.Bridge{Name: "lan"}},
	})
	detach(t, guest, pipework.Spec{Name: "lo2"})
	for _, name := range []string{"solo", "shared", "away"} {
		detach(t, other, pipework.Spec{Name: name})
	}
}

// TestVLANPlanRefuses is TestPlanRefuses for VLANs, and for ipvlan.
func TestVLANPlanRefuses(t *testing.T) {
	needs(t, "vlan")
	needs(t, "ipvlan")
	nic := addNIC(t, "nic0")
	addNIC(t, "nic1")
	guest, _ := nstest.Guest(t)
	other, _ := nstest.Guest(t)
	addVLAN(t, "odd", nic, 7)
	attach(t, other, pipework.Spec{Name: "own", Link: link.VLAN{Parent: "nic0", VLAN: 100}})
	attach(t, other, pipework.Spec{Name: "under", Link: link.Macvlan{Parent: "nic0", VLAN: 200}})
	attach(t, other, pipework.Spec{Name: "ip", Link: link.Ipvlan{Parent: "nic1"}})
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("nic0.300")})
	refusedAlike(t, guest, map[string]pipework.Spec{
		"a guest has it":           {Link: link.VLAN{Parent: "nic0", VLAN: 100}},
		"a guest has it, macvlan":  {Link: link.Macvlan{Parent: "nic0", VLAN: 100}},
		"a macvlan has it":         {Link: link.VLAN{Parent: "nic0", VLAN: 200}},
		"the host has it":          {Link: link.VLAN{Parent: "nic0", VLAN: 7}},
		"its name is another's":    {Link: link.Macvlan{Parent: "nic0", VLAN: 300}},
		"macvlan beside an ipvlan": {Link: link.Macvlan{Parent: "nic1"}},
		"MTU above the NIC's":      {Link: link.Macvlan{Parent: "nic0", VLAN: 400}, MTU: 9000},
		"ipvlan beside a macvlan":  {Link: link.Ipvlan{Parent: "nic0", VLAN: 200}},
	})
	for _, name := range []string{"own", "under", "ip"} {
		detach(t, other, pipework.Spec{Name: name})
	}
}

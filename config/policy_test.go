package config

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

const policyText = `
rules:
  - who:
      user: alice
    vlans: [100, 200-299]
    links: [bridge, ovs, macvlan]
    pin: true
  - who: {label: [team=web, "tier=*"], image: "registry.lan/*", kind: docker}
    interfaces: [br*, ovs0]
    addresses: [10.0.0.0/24, fd00::/64, 192.168.1.7]
    macs: [02:42:00:00:00:00/16, 06:00:00:00:00:01]
    options: [gateways, dhcp, "host_add*"]
    isolated: true
  - who: {name: "shop-*"}
    vlans: 0
  - who: {name: none}
    addresses: []
  - who: {name: ib}
    vlans: 0
    options: pkey
`

func TestPolicy(t *testing.T) {
	p, err := ParsePolicy("policy.yaml", []byte(policyText))
	if err != nil {
		t.Fatal(err)
	}
	addrs := func(s ...string) (list []netip.Prefix) {
		for _, a := range s {
			list = append(list, netip.MustParsePrefix(a))
		}
		return list
	}
	alice := Who{Kind: ns.Podman, Name: "x", User: "alice"}
	web := Who{Kind: ns.Docker, Name: "x", Image: "registry.lan/team/web:1", Labels: map[string]string{"team": "web", "tier": "front"}}
	shop := Who{Kind: ns.Docker, Name: "shop-1"}
	bridge := link.Bridge{Name: "br1"}
	for name, row := range map[string]struct {
		who  Who
		spec pipework.Spec
		want string // of the refusal; "" is none
		by   string
	}{
		"alice, a VLAN":            {alice, pipework.Spec{Link: link.Bridge{Name: "x", VLAN: 250}}, "", "policy.yaml:3"},
		"alice, another VLAN":      {alice, pipework.Spec{Link: link.Bridge{Name: "x", VLAN: 300}}, "VLAN 300 may not", "policy.yaml:3"},
		"alice, trunks":            {alice, pipework.Spec{Link: link.Bridge{Name: "x", Trunks: []int{100, 5}}}, "VLAN 5 may not", "policy.yaml:3"},
		"alice, none":              {alice, pipework.Spec{Link: bridge}, "an interface without a VLAN may not", "policy.yaml:3"},
		"alice, all":               {alice, pipework.Spec{Link: ovs.Bridge{Name: "ovs0"}}, "a port in all VLANs may not", "policy.yaml:3"},
		"alice, not to be pinned":  {alice, pipework.Spec{Link: link.Macvlan{Parent: "eth0", VLAN: 100}}, "has to be pinned, which macvlan:eth0@100 cannot be", "policy.yaml:3"},
		"alice, another kind":      {alice, pipework.Spec{Link: link.Phys{Device: "eth0"}}, "a link of the kind phys may not be asked for: bridge, ovs, macvlan may", "policy.yaml:3"},
		"web":                      {web, pipework.Spec{Link: bridge, Name: "eth1", Addrs: addrs("10.0.0.2/24", "fd00::2/64", "192.168.1.7/24")}, "", "policy.yaml:8"},
		"web, another bridge":      {web, pipework.Spec{Link: link.Bridge{Name: "lan"}}, "the host's interface lan may not be asked for: br*, ovs0 may", "policy.yaml:8"},
		"web, another address":     {web, pipework.Spec{Link: bridge, Addrs: addrs("10.0.1.2/16")}, "the address 10.0.1.2/16 may not", "policy.yaml:8"},
		"web, a MAC":               {web, pipework.Spec{Link: bridge, MAC: net.HardwareAddr{2, 0x42, 9, 9, 9, 9}}, "", "policy.yaml:8"},
		"web, another MAC":         {web, pipework.Spec{Link: bridge, MAC: net.HardwareAddr{6, 0, 0, 0, 0, 2}}, "the MAC 06:00:00:00:00:02 may not", "policy.yaml:8"},
		"web, another default MAC": {web, pipework.Spec{Link: bridge, DefaultMAC: net.HardwareAddr{6, 0, 0, 0, 0, 2}}, "the MAC 06:00:00:00:00:02 may not", "policy.yaml:8"},
		"web, options":             {web, pipework.Spec{Link: bridge, DHCP: &dhcp.Config{}, Gateways: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}, "", "policy.yaml:8"},
		"web, other options":       {web, pipework.Spec{Link: link.Bridge{Name: "br1", HostName: "eth7"}, MTU: 9000}, "; mtu may not be asked for: of options gateways, dhcp, host_add* may", "policy.yaml:8"},
		"web, a name":              {web, pipework.Spec{Link: link.Bridge{Name: "br1", HostName: "eth7"}}, "host_name may not", "policy.yaml:8"},
		"web, not isolated":        {web, pipework.Spec{Link: link.Dummy{}}, "has to be isolated", "policy.yaml:8"},
		"shop, a partition":        {shop, pipework.Spec{Link: link.IPoIB{Parent: "ib0", PKey: 0x8001}}, "the partition 8001 may not", "policy.yaml:14"},
		"shop, no partition":       {shop, pipework.Spec{Link: link.IPoIB{Parent: "ib0"}}, "", "policy.yaml:14"},
		"ib, a partition":          {Who{Name: "ib"}, pipework.Spec{Link: link.IPoIB{Parent: "ib0", PKey: 0x8001}}, "", "policy.yaml:18"},
		"ib, another option":       {Who{Name: "ib"}, pipework.Spec{Link: link.IPoIB{Parent: "ib0", PKey: 0x8001}, MTU: 2044}, "mtu may not", "policy.yaml:18"},
		"shop":                     {shop, pipework.Spec{Link: bridge, MTU: 9000}, "", "policy.yaml:14"},
		"shop, a VLAN":             {shop, pipework.Spec{Link: link.Bridge{Name: "x", VLAN: 1}}, "VLAN 1 may not", "policy.yaml:14"},
		"nobody's address":         {Who{Name: "none"}, pipework.Spec{Link: bridge, Addrs: addrs("10.0.0.2/24")}, "the address 10.0.0.2/24 may not", "policy.yaml:16"},
		"a stranger":               {Who{Name: "x", Kind: ns.Docker}, pipework.Spec{Link: bridge}, "no rule of policy.yaml is about x", "policy.yaml"},
		"half a label":             {Who{Name: "x", Kind: ns.Docker, Image: web.Image, Labels: map[string]string{"team": "web"}}, pipework.Spec{Link: bridge}, "no rule", "policy.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			out, by, err := p.Permit(row.who, row.spec, "")
			if by != row.by || (err == nil) != (row.want == "") {
				t.Errorf("%v by %s", err, by)
			}
			if err != nil && (!errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%q: want %q", err, row.want)
			}
			if err == nil && out.Pin != (row.by == "policy.yaml:3") {
				t.Errorf("pinned: %v", out.Pin)
			}
			if b, is := out.Link.(link.Bridge); err == nil && is && b.Isolated != (row.by == "policy.yaml:8") {
				t.Errorf("isolated: %v", b.Isolated)
			}
		})
	}
	if _, by, err := (*Policy)(nil).Permit(alice, pipework.Spec{Link: link.Phys{Device: "eth0"}}, ""); err != nil || by != "" {
		t.Errorf("without a policy: %v by %q", err, by)
	}
}

func TestPolicyRefusesText(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "p:",
		"- a":                                  "p:1: keys are needed here: rules",
		"rule: []":                             `p:1: unknown key "rule": there are rules`,
		"rules:\n - interface: a":              `p:2: unknown key "interface": there are addresses, interfaces, isolated, links, macs, options, pin, vlans, who`,
		"rules:\n - who: {labels: a=b}":        `p:2: unknown key "labels": there are image, kind, label, name, user`,
		"rules:\n - who: {label: a}":           `p:2: "a" is no label: write key=value`,
		"rules:\n - who: web":                  "p:2: keys are needed here",
		"rules:\n - pin: yes please":           `p:2: "yes please" is neither true nor false`,
		"rules:\n - pin: [true, false]":        `is neither true nor false`,
		"rules:\n - pin: []":                   `is neither true nor false`,
		"rules:\n - who: {label: []}":          `p:2: an empty list is about nobody: leave it out for everybody`,
		"rules:\n - who: {kind: []}":           `p:2: an empty list is about nobody`,
		"rules:\n - who: {kind: dokcer}":       `p:2: "dokcer" is no kind of guest that asks for anything: there are docker, podman`,
		"rules:\n - who: {kind: lxc}":          `p:2: "lxc" is no kind of guest`,
		"rules:\n - links: [bridge,\n  brige]": `p:3: "brige" is no kind of link: there are bridge, `,
		"rules:\n - links: [\"br-*\"]":         `p:2: "br-*" is no kind of link`,
		"rules:\n - options: [gateway]":        `p:2: "gateway" is no option: there are allow_default_route, `,
		"rules:\n - options: [hostname]":       `p:2: "hostname" is no option`,
		"rules:\n - options: mac":              `p:2: "mac" is no option`,
		"rules:\n - vlans: [1,\n    5000]":     `p:3: "5000" is no VLAN`,
		"rules:\n - vlans: [20-10]":            `p:2: "20-10" is no VLAN`,
		"rules:\n - addresses: 10.0.0.1/24":    `p:2: "10.0.0.1/24" has host bits: write 10.0.0.0/24, or 10.0.0.1`,
		"rules:\n - addresses: web":            `p:2: "web" is no range of addresses`,
		"rules:\n - macs: 02:42/16":            `p:2: "02:42/16" is no range of MACs`,
		"rules:\n - interfaces: [\"br[\"]":     `p:2: "br[" is no pattern`,
		"rules:\n - interfaces: [{a: b}]":      "is no word",
		"rules:\n - pin: [":                    "p:",
		"rules: &a [{pin: true}]\n":            "p:1:",
		"rules: []\n---\nrules: []":            "p: one document",
		strings.Repeat("[", 100):               "p: more than 64 brackets",
	} {
		_, err := ParsePolicy("p", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}

// TestPolicyWords compares the words of a policy with what there is.
func TestPolicyWords(t *testing.T) {
	keys := func(of reflect.Type) (list []string) {
		for _, f := range reflect.VisibleFields(of) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" {
				list = append(list, name)
			}
		}
		return list
	}
	var kinds []string
	options := keys(reflect.TypeFor[pipework.Spec]())
	for _, k := range append(link.Kinds(), ovs.Kind()) {
		b, err := k.Read([]byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, k.Name)
		options = append(options, keys(reflect.TypeOf(b))...)
	}
	slices.Sort(kinds)
	if diff := cmp.Diff(kinds, linkWords.words); diff != "" {
		t.Errorf("kinds of link (-there are +known):\n%s", diff)
	}
	options = slices.DeleteFunc(options, func(o string) bool { return slices.Contains(unlimited, o) })
	slices.Sort(options)
	if diff := cmp.Diff(slices.Compact(options), optionWords.words); diff != "" {
		t.Errorf("options (-there are +known):\n%s", diff)
	}
}

// FuzzPolicy reads any text: no panic, and errors of one line.
func FuzzPolicy(f *testing.F) {
	f.Add(policyText)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy("p", []byte(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q", err)
			}
			return
		}
		_, _, _ = p.Permit(Who{Name: "x"}, pipework.Spec{Link: link.Bridge{Name: "br1"}}, "")
	})
}

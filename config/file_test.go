package config_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/link"
)

// TestParseSpec reads what a person writes, and what FormatSpec does.
func TestParseSpec(t *testing.T) {
	want := pipework.Spec{
		Link: link.Bridge{Name: "br1", VLAN: 100}, Name: "eth1", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0x10},
		Addrs:    []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")},
		Gateways: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
		Routes:   []link.Route{{Dst: netip.MustParsePrefix("10.9.0.0/16"), Via: netip.MustParseAddr("10.0.0.1"), Metric: 50}},
		Egress:   &link.Shaping{Rate: 10e6, Delay: 20 * time.Millisecond},
	}
	written, err := config.FormatSpec(want)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"YAML": `
link:
  bridge: {name: br1, vlan: 100}
name: eth1
mac: 02:00:00:00:00:10
addrs: [10.0.0.2/24]
gateways:
  - 10.0.0.1
routes:
  - {dst: 10.9.0.0/16, via: 10.0.0.1, metric: 50}
egress: {rate: 10000000, delay: 20ms}
`,
		"JSON":    `{"link": {"bridge": {"name": "br1", "vlan": 100}}, "name": "eth1", "mac": "02:00:00:00:00:10", "addrs": ["10.0.0.2/24"], "gateways": ["10.0.0.1"], "routes": [{"dst": "10.9.0.0/16", "via": "10.0.0.1", "metric": 50}], "egress": {"rate": 10000000, "delay": "20ms"}}`,
		"written": string(written),
	} {
		got, err := config.ParseSpec([]byte(text), link.Kinds()...)
		if err != nil {
			t.Errorf("%s: %v in %s", name, err, text)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestParseSpecRefuses says what is wrong on one line.
func TestParseSpecRefuses(t *testing.T) {
	bomb := "a0: &a0 [x]\n" // each name stands for ten of the one before
	for i := range 12 {
		bomb += fmt.Sprintf("a%d: &a%[1]d [%s]\n", i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 10))
	}
	for text, want := range map[string]string{
		"link: [":                       "spec: ",
		"adress: 5":                     `spec: unknown field "adress"`,
		"link: {ovs: {name: ovs0}}":     `no kind is called "ovs" here`,
		"mac: 5":                        "spec: ",
		strings.Repeat("[", 60000):      "spec: more than 64 brackets",
		strings.Repeat("{a: ", 15000):   "spec: more than 64 brackets",
		"addrs: 10.0.0.2/24":            "spec: ",
		"a: &x 1\nb: *x":                "spec: anchors and aliases",
		bomb:                            "spec: anchors and aliases",
		"name: eth1\n---\nname: eth2\n": "spec: one document",
		strings.Repeat("x", 1<<21):      "spec: 2097152 bytes are more than",
		strings.Repeat("- ", 30000):     "spec: more than 64 brackets",
		strings.Repeat("['],', ", 9000): "spec: 9000 brackets are more than 1000",
		"":                              "spec: ",
	} {
		_, err := config.ParseSpec([]byte(text), link.Kinds()...)
		if err == nil || !strings.HasPrefix(err.Error(), want) && !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

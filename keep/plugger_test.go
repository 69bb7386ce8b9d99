//go:build linux

package keep

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// TestMerge has two lines typed for one interface.
func TestMerge(t *testing.T) {
	for _, row := range []struct{ name, old, new, want string }{
		{"same", "br1 web 10.0.0.2/24", "br1 web 10.0.0.2/24", "br1 web 10.0.0.2/24"},
		{"another address", "br1 web 10.0.0.2/24@10.0.0.1", "br1 web 10.0.0.3/24", "br1 web 10.0.0.2/24@10.0.0.1,10.0.0.3/24"},
		{"another family", "br1 web 10.0.0.2/24@10.0.0.1", "--forward br1 web fd00::2/64@fd00::1", "--forward br1 web 10.0.0.2/24@10.0.0.1,fd00::2/64@fd00::1"},
		{"the same gateway", "br1 web 10.0.0.2/24@10.0.0.1", "br1 web 10.0.0.3/24@10.0.0.1", "br1 web 10.0.0.2/24@10.0.0.1,10.0.0.3/24"},
		{"what made it says more", "--forward mac:02:00:00:00:00:09 -l v1 web dhcp 02:00:00:00:00:01", "eth0 web 10.0.0.3/24", "--forward mac:02:00:00:00:00:09 -l v1 web 10.0.0.3/24,dhcp 02:00:00:00:00:01"},
		{"-a 4 and IPv6", "br1 -a 4 web 10.0.0.2/24", "br1 web fd00::2/64", "br1 web 10.0.0.2/24,fd00::2/64"},
		{"-a 4 and -a 6", "br1 -a 4 web 10.0.0.2/24", "br1 -a 6 web fd00::2/64", "br1 web 10.0.0.2/24,fd00::2/64"},
		{"-a 4 twice", "br1 -a 4 web 10.0.0.2/24", "br1 -a 4 web 10.0.0.3/24", "br1 -a 4 web 10.0.0.2/24,10.0.0.3/24"},
		{"-a 6 dhcp and IPv4", "br1 -a 6 web dhcp", "br1 web 10.0.0.2/24", "br1 web 10.0.0.2/24,dhcp6"},
		{"-a 6 dhcp and dhcp", "br1 -a 6 web dhcp:-f", "br1 web dhcp", "br1 web dhcp,dhcp6:-f"},
		{"other forwarding", "--forward br1 web 10.0.0.2/24", "--no-forward br1 web 10.0.0.2/24", "--no-forward br1 web 10.0.0.2/24"},
		{"resolv.conf", "br1 web dhcp", "--resolv-conf=/a br1 web dhcp", "--resolv-conf=/a br1 web dhcp"},
		{"another resolv.conf", "--resolv-conf=/a br1 web dhcp", "--resolv-conf=/b br1 web dhcp", "--resolv-conf=/b br1 web dhcp"},
		{"slaac", "br1 web 10.0.0.2/24", "br1 web slaac", "br1 web 10.0.0.2/24,slaac"},
		{"slaac of before", "br1 web slaac", "br1 web 10.0.0.2/24", "br1 web 10.0.0.2/24,slaac"},
		{"a lease", "br1 web 10.0.0.2/24", "br1 web dhcp:-f", "br1 web 10.0.0.2/24,dhcp:-f"},
		{"a lease of each family", "br1 web dhcp", "br1 web dhcp6", "br1 web dhcp,dhcp6"},
		{"a lease again", "br1 web dhcp,dhcp6:-f", "br1 web dhcp", "br1 web dhcp,dhcp6:-f"},
		{"a program takes the addresses away", "br1 web 10.0.0.2/24", "br1 web udhcpc-f", "br1 web udhcpc-f"},
		{"a program for the lease", "--resolv-conf=/a br1 web dhcp", "br1 web udhcpc", "br1 web udhcpc"},
		{"another gateway", "br1 web 10.0.0.2/24@10.0.0.1,fd00::2/64@fd00::1", "br1 web 10.0.0.3/24@10.0.0.254", "br1 web 10.0.0.2/24@10.0.0.254,fd00::2/64@fd00::1,10.0.0.3/24"},
		{"options of before", "br1 web dhcp:-t5", "br1 web dhcp6", "br1 web dhcp,dhcp6:-t5"},
		{"newer options", "br1 web dhcp:-t5", "br1 web dhcp:-t6", "br1 web dhcp:-t6"},
		{"a program's options of before", "br1 web udhcpc:-t5", "br1 web udhcpc", "br1 web udhcpc:-t5"},
		{"a lease for the program", "br1 web udhcpc", "br1 web dhcp", "br1 web dhcp"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := merge(declared(t, row.old), declared(t, row.new))
			if diff := cmp.Diff(declared(t, row.want), got, byValue, cmpopts.IgnoreFields(Declared{}, "Stay"), cmpopts.IgnoreUnexported(Declared{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// declared is what a line means where its host interface is the bridge br1.
func declared(t *testing.T, text string) Declared {
	t.Helper()
	line, err := config.Parse(strings.Fields(text))
	if err != nil {
		t.Fatal(err)
	}
	d, err := declaredBy(line, link.Bridge{Name: "br1"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestMergeSpecs merges what no line says.
func TestMergeSpecs(t *testing.T) {
	route := func(to string, metric uint32) link.Route {
		return link.Route{Dst: netip.MustParsePrefix(to), Metric: metric}
	}
	old := Declared{Spec: pipework.Spec{Link: link.Ipvlan{Parent: "eth0"}, MTU: 1400, Routes: []link.Route{route("10.1.0.0/16", 1)}, Rules: []link.Rule{{Priority: 5}}}}
	now := Declared{Spec: pipework.Spec{Link: link.Ipvlan{Parent: "eth0"}, Routes: []link.Route{route("10.1.0.0/16", 1), route("10.1.0.0/16", 2)}}}
	want := old
	want.Spec.Routes = []link.Route{route("10.1.0.0/16", 1), route("10.1.0.0/16", 2)}
	if diff := cmp.Diff(want.Text(), merge(old, now).Text()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMergePair has a line add an address to the other end of a pair.
func TestMergePair(t *testing.T) {
	pair := func(addrs ...string) Declared {
		v := link.Veth{Peer: ns.ParseRef("docker:db"), PeerName: "eth5"}
		for _, a := range addrs {
			v.PeerAddrs = append(v.PeerAddrs, netip.MustParsePrefix(a))
		}
		return Declared{Spec: pipework.Spec{Link: v}}
	}
	for _, row := range []struct{ old, now, want Declared }{
		{pair("10.0.0.1/24"), pair(), pair("10.0.0.1/24")},
		{pair("10.0.0.1/24"), pair("10.0.1.1/24"), pair("10.0.0.1/24", "10.0.1.1/24")},
		{pair("10.0.0.1/24", "10.0.1.1/24"), pair("10.0.1.1/24"), pair("10.0.0.1/24", "10.0.1.1/24")},
	} {
		if diff := cmp.Diff(row.want.Text(), merge(row.old, row.now).Text()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestSpecOfWhatIsGone has records whose host interface is no more: what detach
// needs of the lease is known all the same.
func TestSpecOfWhatIsGone(t *testing.T) {
	for _, row := range []struct{ link, want string }{{"bridge:lan", "bridge:lan"}, {"macvlan:lan", "macvlan:lan"}, {"", "<nil>"}} {
		t.Run(row.want, func(t *testing.T) {
			r := web(func(r *Record) {
				r.Attachment = nil
				if row.link != "" {
					r.Attachment = &pipework.Attachment{Link: row.link}
				}
			})
			if err := r.readLine([]string{"--resolv-conf=/a", "lan", "docker:web", "dhcp,dhcp6:-x 0x3d:01ab -x duid:00020001"}); err != nil {
				t.Fatal(err)
			}
			s, err := new(Plugger).specOf(t.Context(), &r)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(s.Link); got != row.want || s.Name != "eth1" {
				t.Errorf("%s on %s", s.Name, got)
			}
			if d := s.DHCP; d == nil || d.ResolvConf != "/a" || string(d.ClientID) != "\x01\xab" || string(d.DUID) != "\x00\x02\x00\x01" {
				t.Errorf("DHCP %+v", d)
			}
		})
	}
}

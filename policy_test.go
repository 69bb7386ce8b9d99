//go:build linux

package pipework_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// withPolicy gives a Spec some of everything that this kernel has.
func withPolicy(s *pipework.Spec) {
	s.Routes = []link.Route{
		{Dst: netip.MustParsePrefix("10.99.0.0/24")},
		{Dst: netip.MustParsePrefix("10.200.0.0/16"), Via: netip.MustParseAddr("10.99.0.1"), Metric: 7},
		{Dst: netip.MustParsePrefix("10.1.0.0/24"), Table: 100},
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("10.1.0.254"), Table: 100},
	}
	s.Rules = []link.Rule{
		{Priority: 100, From: netip.MustParsePrefix("10.1.0.0/24"), Table: 100},
		{Priority: 101, Mark: 7, OIf: "net1", Table: 1000},
	}
	s.Egress = &link.Shaping{Rate: 100e6}
	s.Ingress = &link.Shaping{Rate: 200e6}
	if os.Getenv("PIPEWORK_LANE") != "" { // which has netem
		s.Egress = &link.Shaping{Rate: 100e6, Delay: time.Millisecond, Jitter: 100 * time.Microsecond, Loss: 0.1}
	}
}

// TestContractWithPolicy keeps the contract with routes, rules and shaping.
func TestContractWithPolicy(t *testing.T) {
	contract.Run(t, contract.Case{
		Peers: true, Drifts: 7, Change: withPolicy,
		Setup: func(testing.TB) link.Backend { return link.Bridge{Name: "br1"} },
	})
}

// ip runs iproute2 in the guest, which tests look by instead of the code under
// test.
func ip(t *testing.T, g *ns.Guest, words ...string) string {
	t.Helper()
	var out strings.Builder
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := g.Exec(t.Context(), cmd); err != nil {
		t.Fatalf("%q: %v\n%s", words, err, &out)
	}
	return out.String()
}

// TestPolicy looks at everything with iproute2, spoils it, and mends it.
func TestPolicy(t *testing.T) {
	target, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	s := spec("net1", "br1", "10.1.0.1/24", "fd01::1/64")
	withPolicy(&s)
	s.Routes = append(s.Routes, link.Route{
		Dst: netip.MustParsePrefix("fd99::/64"), Via: netip.MustParseAddr("fd01::fe"), Src: netip.MustParseAddr("fd01::1"), Metric: 50, Table: 100,
	})
	s.Rules = append(s.Rules, link.Rule{Priority: 102, To: netip.MustParsePrefix("fd99::/64"), IIf: "lo", Mark: 1, Mask: 0xff})
	at := attach(t, target, s)
	for _, row := range []struct{ words, want string }{
		{"ip -4 route show 10.99.0.0/24", "10.99.0.0/24 dev net1 proto 112 scope link"},
		{"ip -4 route show 10.200.0.0/16", "10.200.0.0/16 via 10.99.0.1 dev net1 proto 112 metric 7"},
		{"ip -4 route show table 100", "default via 10.1.0.254 dev net1 proto 112"},
		{"ip -6 route show table 100", "fd99::/64 via fd01::fe dev net1 proto 112 src fd01::1 metric 50"},
		{"ip -N -4 rule list", "100:\tfrom 10.1.0.0/24 lookup 100 proto 112"},
		{"ip -N -4 rule list", "101:\tfrom all fwmark 0x7 oif net1 lookup 1000 proto 112"},
		{"ip -N -6 rule list", "101:\tfrom all fwmark 0x7 oif net1 lookup 1000 proto 112"},
		{"ip -N -6 rule list", "102:\tfrom all to fd99::/64 fwmark 0x1/0xff iif lo lookup 254 proto 112"},
		{"tc qdisc show dev net1", "rate 100Mbit"},
		{"ip -4 rule list", "32766:\tfrom all lookup main"},
	} {
		if got := ip(t, g, strings.Fields(row.words)...); !strings.Contains(got, row.want) {
			t.Errorf("%s: %swant %s", row.words, got, row.want)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "tc", "qdisc", "show", "dev", at.HostName).Output(); !strings.Contains(string(out), "tbf") || !strings.Contains(string(out), "rate 200Mbit") {
		t.Errorf("the host's end: %s %v", out, err)
	}
	whole := nstest.Observe(t, g.Handle)
	ip(t, g, strings.Fields("ip rule del priority 101")...)
	ip(t, g, strings.Fields("ip -6 rule del priority 102")...)
	ip(t, g, strings.Fields("ip route del 10.200.0.0/16")...)
	ip(t, g, strings.Fields("ip -6 route del fd99::/64 table 100")...)
	ip(t, g, strings.Fields("tc qdisc replace dev net1 root tbf rate 1mbit burst 10kb latency 50ms")...)
	checked, err := pipework.Check(t.Context(), target, s)
	if err != nil || len(checked.Drifts) != 5 {
		t.Errorf("drifts %q, %v", checked.Drifts, err)
	}
	if again := attach(t, target, s); len(again.Mended) != 5 {
		t.Errorf("mended %q", again.Mended)
	}
	whole.Unchanged(t)
	detach(t, target, pipework.Spec{Name: "net1"})
	world.Unchanged(t)
}

// TestRulesStayApart plugs in two interfaces with rules, and rules of others.
func TestRulesStayApart(t *testing.T) {
	target, g := nstest.Guest(t)
	ip(t, g, strings.Fields("ip rule add priority 50 lookup 50")...)
	world := nstest.Observe(t, g.Handle)
	one, two := spec("eth1", "br1", "10.1.0.1/24"), spec("eth2", "br1", "10.2.0.1/24")
	one.Rules = []link.Rule{{Priority: 100, Table: 1}, {Priority: 102, Table: 1}}
	two.Rules = []link.Rule{{Priority: 101, Table: 2}}
	attach(t, target, one)
	first := nstest.Observe(t, g.Handle)
	attach(t, target, two)
	detach(t, target, pipework.Spec{Name: "eth2"})
	first.Unchanged(t)

	two.Rules = []link.Rule{{Priority: 100, Table: 2}}
	if _, err := pipework.Attach(t.Context(), target, two); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "rule 100 belongs to eth1: choose another priority") {
		t.Errorf("another's priority: %v", err)
	}
	first.Unchanged(t)
	two.Rules = []link.Rule{{Priority: 50, Table: 50}} // the same as one that pipework did not make
	attach(t, target, two)
	detach(t, target, pipework.Spec{Name: "eth2"})
	first.Unchanged(t)

	// Somebody in the guest removes the interface: its rules are adopted by a new
	// one, or removed by Detach.
	ip(t, g, "ip", "link", "del", "eth1")
	attach(t, target, one)
	ip(t, g, "ip", "link", "del", "eth1")
	detach(t, target, pipework.Spec{Name: "eth1"})
	nstest.DelLink(t, "br1") // nobody told which bridge it was
	world.Unchanged(t)
}

// TestPolicyRefused says what is wrong before or after asking the kernel.
func TestPolicyRefused(t *testing.T) {
	target, g := nstest.Guest(t)
	addNIC(t, "nic0")
	world := nstest.Observe(t, g.Handle)
	route := func(dst, via string) link.Route {
		r := link.Route{Dst: netip.MustParsePrefix(dst)}
		if via != "" {
			r.Via = netip.MustParseAddr(via)
		}
		return r
	}
	for name, row := range map[string]struct {
		change func(*pipework.Spec)
		is     error
		want   string
	}{
		"host bits":       {func(s *pipework.Spec) { s.Routes = []link.Route{route("10.0.0.1/8", "")} }, fs.ErrInvalid, "write 10.0.0.0/8"},
		"two families":    {func(s *pipework.Spec) { s.Routes = []link.Route{route("10.0.0.0/8", "fd00::1")} }, fs.ErrInvalid, "fd00::1 is no router"},
		"plain default":   {func(s *pipework.Spec) { s.Routes = []link.Route{route("0.0.0.0/0", "10.1.0.9")} }, fs.ErrInvalid, "is a gateway"},
		"twice":           {func(s *pipework.Spec) { s.Routes = []link.Route{route("10.0.0.0/8", ""), route("10.0.0.0/8", "")} }, fs.ErrInvalid, "given twice"},
		"not on the link": {func(s *pipework.Spec) { s.Routes = []link.Route{route("10.0.0.0/8", "172.31.0.1")} }, fs.ErrInvalid, "172.31.0.1 is not on the link"},
		"there already":   {func(s *pipework.Spec) { s.Routes = []link.Route{route("10.1.0.0/24", "")} }, fs.ErrExist, "is there already"},
		"no such source": {func(s *pipework.Spec) {
			s.Routes = []link.Route{{Dst: netip.MustParsePrefix("10.9.0.0/24"), Src: netip.MustParseAddr("10.1.0.77")}}
		}, fs.ErrInvalid, "is 10.1.0.77 an address of the interface?"},
		"no priority":      {func(s *pipework.Spec) { s.Rules = []link.Rule{{Table: 5}} }, fs.ErrInvalid, "1 to 32765"},
		"priority twice":   {func(s *pipework.Spec) { s.Rules = []link.Rule{{Priority: 5, Table: 5}, {Priority: 5, Table: 6}} }, fs.ErrInvalid, "two rules have priority 5"},
		"too many rules":   {func(s *pipework.Spec) { s.Rules = make([]link.Rule, 17) }, fs.ErrInvalid, "at most 16"},
		"mark beside mask": {func(s *pipework.Spec) { s.Rules = []link.Rule{{Priority: 5, Mark: 3, Mask: 1}} }, fs.ErrInvalid, "leaves out"},
		"no shaping":       {func(s *pipework.Spec) { s.Egress = &link.Shaping{} }, fs.ErrInvalid, "leave it out"},
		"too much lost":    {func(s *pipework.Spec) { s.Egress = &link.Shaping{Loss: 101} }, fs.ErrInvalid, "0 to 100"},
		"no end to shape":  {func(s *pipework.Spec) { s.Link, s.Ingress = link.Macvlan{Parent: "nic0"}, &link.Shaping{Rate: 1e6} }, errors.ErrUnsupported, "has no end on the host"},
		"kernel's own table": {func(s *pipework.Spec) {
			s.Routes = []link.Route{{Dst: netip.MustParsePrefix("10.9.0.0/24"), Table: 255}}
		}, fs.ErrInvalid, "the kernel's own"},
	} {
		s := spec("eth1", "br1", "10.1.0.1/24")
		row.change(&s)
		_, err := pipework.Attach(t.Context(), target, s)
		if !errors.Is(err, row.is) || !strings.Contains(fmt.Sprint(err), row.want) || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%s: %v, want %s", name, err, row.want)
		}
		world.Unchanged(t)
	}
}

// TestNetem measures a delay, in a lane that has netem.
func TestNetem(t *testing.T) {
	if os.Getenv("PIPEWORK_LANE") != "uml" {
		t.Skip("netem is in the lane uml")
	}
	one, g := nstest.Guest(t)
	two, _ := nstest.Guest(t)
	s := spec("eth1", "br1", "10.1.0.1/24")
	s.Egress, s.Ingress = &link.Shaping{Delay: 40 * time.Millisecond}, &link.Shaping{Delay: 30 * time.Millisecond}
	attach(t, one, s)
	attach(t, two, spec("eth1", "br1", "10.1.0.2/24"))
	took, err := sandbox.Ping(t.Context(), g.Handle, netip.MustParseAddr("10.1.0.2"))
	if err != nil || took < 70*time.Millisecond {
		t.Errorf("a ping took %v, %v", took, err)
	}
	s.Egress = &link.Shaping{Loss: 100}
	if _, err := pipework.Attach(t.Context(), one, s); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	detach(t, one, s)
	attach(t, one, s)
	nstest.NoPing(t, g.Handle, "10.1.0.2")
	detach(t, one, s)
	detach(t, two, spec("eth1", "br1"))
}

// TestAddRoutes adds routes to an interface that is there.
func TestAddRoutes(t *testing.T) {
	target, g := nstest.Guest(t)
	attach(t, target, adding("10.1.0.1/24"))
	more := adding("10.2.0.1/24")
	more.Routes = []link.Route{{Dst: netip.MustParsePrefix("10.9.0.0/16"), Via: netip.MustParseAddr("10.2.0.254")}}
	attach(t, target, more)
	attach(t, target, more)
	if got := ip(t, g, "ip", "route", "show", "10.9.0.0/16"); got != "10.9.0.0/16 via 10.2.0.254 dev eth1 proto 112 \n" {
		t.Errorf("route %q", got)
	}
	more.Rules = []link.Rule{{Priority: 5, Table: 5}}
	if _, err := pipework.Attach(t.Context(), target, more); !errors.Is(err, fs.ErrExist) {
		t.Errorf("rules are not added: %v", err)
	}
	detach(t, target, more)
}

// TestPolicyInJSON keeps a Spec as it was.
func TestPolicyInJSON(t *testing.T) {
	s := spec("eth1", "br1", "10.1.0.1/24")
	withPolicy(&s)
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"routes":[{"dst":"10.99.0.0/24"},{"dst":"10.200.0.0/16","via":"10.99.0.1","metric":7}`) {
		t.Errorf("%s", text)
	}
	var back pipework.Spec
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, back, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

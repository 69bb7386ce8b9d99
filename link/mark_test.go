//go:build linux

package link

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/ns"
)

func TestMarkSurvivesItsText(t *testing.T) {
	for _, m := range []Mark{
		{Link: "bridge:br1", Interface: "eth1", Spec: "0123456789abcdef", Guest: ns.Identity{Name: "web", ID: "3f2a9c1d7b44", PID: 4194304, NetworkOf: "db"}},
		{Link: "bridge:br1", Interface: "eth1", Guest: ns.Identity{Name: "/run/my netns/a=b"}},
		{Link: "macvlan:eth0@100", Interface: "eth1", Guest: ns.Identity{Name: "größe"}},
	} {
		text := m.String()
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q is not printable ASCII", text)
		}
		got, ok := ParseMark(text)
		if diff := cmp.Diff(m, got); !ok || diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestMarkFitsIntoAnAlias(t *testing.T) {
	m := Mark{Link: "bridge:br-123456789012", Interface: "eth-23456789012", Spec: "0123456789abcdef",
		Guest: ns.Identity{Name: strings.Repeat("ü", 200), ID: strings.Repeat("a", 64), PID: 4194304}}
	text := m.String()
	if len(text) > aliasMax {
		t.Errorf("%d bytes", len(text))
	}
	got, ok := ParseMark(text)
	if !ok || got.Link != m.Link || got.Spec != m.Spec || got.Interface != m.Interface || got.Guest.PID != m.Guest.PID {
		t.Errorf("%q reads as %+v", text, got)
	}
}

// TestMarkOfPinnedEnd has all that the mark of a host's end tells be as long as it may be: the
// pin stays whole, and so does each rule that stays.
func TestMarkOfPinnedEnd(t *testing.T) {
	mac := net.HardwareAddr{2, 0xff, 0xff, 0xff, 0xff, 0xff}
	pin := Pin{MAC: mac}
	for i := range byte(MaxLeased) {
		pin.Leased = append(pin.Leased, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, i}))
	}
	var rules []Rule
	for i := range uint32(16) {
		rules = append(rules, Rule{Priority: 4294967200 + i})
	}
	for names := range 15 {
		m := Mark{Link: "bridge:br-123456789012@4094", Interface: "eth-23456789012"[:15-names], Spec: "0123456789abcdef", Rules: FormatRules(rules),
			Guest: ns.Identity{Name: strings.Repeat("n", 64), ID: strings.Repeat("a", 64), PID: 4194304}}
		text, err := m.pinned(pin.note())
		if err != nil {
			t.Fatal(err)
		}
		got, _ := ParseMark(text)
		if diff := cmp.Diff(pin, first(Pin{}.Noted(got)), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
		if !strings.HasPrefix(m.Rules+"+", got.Rules+"+") {
			t.Errorf("%q has a rule that was cut", text)
		}
	}
	long := Mark{Link: "bridge:br1@" + strings.Repeat("100,", 60)}
	if text, err := long.pinned(pin.note()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%q, %v", text, err)
	}
}

func first[T any](v T, _ bool) T { return v }

func TestOtherPeoplesAliases(t *testing.T) {
	for _, alias := range []string{"", "uplink", "pipework", BridgeMark, "pipeworks link=bridge:br1", "x pipework link=bridge:br1", "pipework interface=eth1", "pipework link=bridge:br1 " + strings.Repeat("x", 300)} {
		if m, ok := ParseMark(alias); ok {
			t.Errorf("%q is taken for the mark %+v", alias, m)
		}
	}
}

func FuzzParseMark(f *testing.F) {
	f.Add("pipework link=bridge:br1 interface=eth1 spec=00 nspid=1 containerid=ab network_of=x containername=web")
	f.Add("pipework link=%zz nspid=99999999999999999999")
	f.Fuzz(func(t *testing.T, alias string) {
		m, ok := ParseMark(alias)
		if !ok {
			return
		}
		if again, ok := ParseMark(m.String()); !ok || len(m.String()) > aliasMax || again.Link == "" {
			t.Errorf("%q reads as %+v, and that as %+v", alias, m, again)
		}
	})
}

func TestValidName(t *testing.T) {
	for _, name := range []string{"eth1", "a", "veth1pl4194304", "eth0.100", "br-lan", "123456789012345"} {
		if err := ValidName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", ".", "..", "1234567890123456", "a/b", "a b", "a:b", "eth%d", "a\n", "größe", "all", "default", "\x00"} {
		if ValidName(name) == nil {
			t.Errorf("%q is taken for a name", name)
		}
	}
}

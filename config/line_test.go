package config

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-pipework/pipework/link"
)

// byValue lets cmp compare netip's values.
var byValue = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

func addrs(texts ...string) []netip.Addr {
	list := make([]netip.Addr, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParseAddr(text)
	}
	return list
}

// br1 is the Line of "br1 web 10.0.0.2/24", changed by edit.
func br1(edit func(*Line)) Line {
	l := Line{Interface: "br1", Guest: "web", Addrs: prefixes("10.0.0.2/24")}
	edit(&l)
	return l
}

// A good row is a command line, one word a field, and what Parse makes of it.
// A field spelled "" stands for an empty word.
type goodRow struct {
	name string
	args string
	want Line
}

func goodRows() []goodRow {
	mac := net.HardwareAddr{0x02, 0, 0, 0, 0, 0x0a}
	web := net.HardwareAddr{0x02, 0x64, 0xd4, 0x20, 0x24, 0xf1}
	return []goodRow{
		{"plain", "br1 web 10.0.0.2/24", br1(func(*Line) {})},
		{"gateway", "br1 web 10.0.0.2/24@10.0.0.1", br1(func(l *Line) { l.Gateways = addrs("10.0.0.1") })},
		{"interface", "br1 -i eth2 web 10.0.0.2/24", br1(func(l *Line) { l.Name = "eth2" })},
		{"host end", "br1 -l vweb web 10.0.0.2/24", br1(func(l *Line) { l.HostName = "vweb" })},
		{"family 4", "br1 -a 4 web 10.0.0.2/24", br1(func(l *Line) { l.Family = Inet })},
		{"family inet", "br1 -a inet web 10.0.0.2/24", br1(func(l *Line) { l.Family = Inet })},
		{"family 6", "br1 -a 6 web fd00::2/64", br1(func(l *Line) { l.Family, l.Addrs = Inet6, prefixes("fd00::2/64") })},
		{"family inet6", "br1 -a inet6 web fd00::2/64", br1(func(l *Line) { l.Family, l.Addrs = Inet6, prefixes("fd00::2/64") })},
		{"every classic option", "--direct-phys eth0 -i eth2 -l vweb -a 4 web 10.0.0.2/24 02:00:00:00:00:0a@100", Line{
			Interface: "eth0", Name: "eth2", HostName: "vweb", Family: Inet, Guest: "web", Addrs: prefixes("10.0.0.2/24"),
			MAC: mac, VLAN: "100", DirectPhys: true,
		}},
		{"options last", "eth0 web 10.0.0.2/24 -a=4 -i=eth2 --direct-phys", Line{
			Interface: "eth0", Name: "eth2", Family: Inet, Guest: "web", Addrs: prefixes("10.0.0.2/24"), DirectPhys: true,
		}},
		{"not trusted", "--pin br1 --isolated web 10.0.0.2/24", br1(func(l *Line) { l.Pin, l.Isolated = true, true })},
		{"options first", "-i eth2 br1 web 10.0.0.2/24", br1(func(l *Line) { l.Name = "eth2" })},
		{"words after --", "br1 -i eth2 -- --web 10.0.0.2/24", br1(func(l *Line) { l.Guest, l.Name = "--web", "eth2" })},
		{"interface after --", "-- -br web 10.0.0.2/24", br1(func(l *Line) { l.Interface = "-br" })},
		{"-- as a guest", "br1 -- -- 10.0.0.2/24", br1(func(l *Line) { l.Guest = "--" })},
		{"dash as a guest", "br1 - 10.0.0.2/24", br1(func(l *Line) { l.Guest = "-" })},
		{"a name by its long option", "br1 --interface eth2 web 10.0.0.2/24", br1(func(l *Line) { l.Name = "eth2" })},
		{"glued value", "br1 -ieth2 web 10.0.0.2/24", br1(func(l *Line) { l.Name = "eth2" })},
		{"MTU", "br1 web --mtu 1400 10.0.0.2/24", br1(func(l *Line) { l.MTU = 1400 })},
		{"routes", "br1 web 10.0.0.2/24 --route 10.8.0.0/16@10.0.0.9,metric=100,table=7,src=10.0.0.2 --route fd01::/64", br1(func(l *Line) {
			l.Routes = []link.Route{
				{Dst: netip.MustParsePrefix("10.8.0.0/16"), Via: netip.MustParseAddr("10.0.0.9"), Src: netip.MustParseAddr("10.0.0.2"), Metric: 100, Table: 7},
				{Dst: netip.MustParsePrefix("fd01::/64")},
			}
		})},
		{"a rule", "br1 web 10.0.0.2/24 --rule priority=50,from=10.0.0.2,to=10.9.0.0/16,iif=lo,oif=eth1,fwmark=0x7/0xff,table=7", br1(func(l *Line) {
			l.Rules = []link.Rule{{Priority: 50, From: netip.MustParsePrefix("10.0.0.2/32"), To: netip.MustParsePrefix("10.9.0.0/16"), IIf: "lo", OIf: "eth1", Mark: 7, Mask: 255, Table: 7}}
		})},
		{"shaping", "br1 web 10.0.0.2/24 --egress rate=1.5mbit,delay=20ms,jitter=5ms,loss=0.5% --ingress rate=800kbit", br1(func(l *Line) {
			l.Egress = &link.Shaping{Rate: 1_500_000, Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.5}
			l.Ingress = &link.Shaping{Rate: 800_000}
		})},
		{"trunks", "br1 web 10.0.0.2/24 --trunk 10,20-22 --isolated --hairpin", br1(func(l *Line) {
			l.Trunks, l.Isolated, l.Hairpin = []int{10, 20, 21, 22}, true, true
		})},
		{"the host's", "br1 web 10.0.0.2/24 --no-forward --resolv-conf /a/b", br1(func(l *Line) { l.Firewall, l.ResolvConf = link.FirewallLeave, "/a/b" })},
		{"interface with an equals sign", "br1 -i=a=b web 10.0.0.2/24", br1(func(l *Line) { l.Name = "a=b" })},
		{"host interface by MAC", "mac:02:00:00:00:00:0A web 10.0.0.2/24", br1(func(l *Line) { l.Interface = "mac:02:00:00:00:00:0A" })},
		{"VLAN interface", "vlan:eth0 web 10.0.0.2/24 @100", br1(func(l *Line) { l.Interface, l.VLAN = "vlan:eth0", "100" })},
		{"pair", "veth:web0 web 10.0.0.2/24@10.0.0.1", br1(func(l *Line) { l.Interface, l.Gateways = "veth:web0", addrs("10.0.0.1") })},
		{"pair of guests", "veth:docker:db/eth5 web 10.0.0.2/24@10.0.0.1", br1(func(l *Line) { l.Interface, l.Gateways = "veth:docker:db/eth5", addrs("10.0.0.1") })},
		{"pair of guests, by path", "veth:/run/netns/db/eth5 web 10.0.0.2/24", br1(func(l *Line) { l.Interface = "veth:/run/netns/db/eth5" })},
		{"15 bytes", "abcdefghijklmno web 10.0.0.2/24", br1(func(l *Line) { l.Interface = "abcdefghijklmno" })},
		{"guest by path", "br1 /run/netns/x 10.0.0.2/24", br1(func(l *Line) { l.Guest = "/run/netns/x" })},
		{"guest by namespace", "br1 netns:blue 10.0.0.2/24", br1(func(l *Line) { l.Guest = "netns:blue" })},

		{"no address", "br1 web 0/0", br1(func(l *Line) { l.Addrs = nil })},
		{"no address, VLAN", "br1 web 0/0 @100", br1(func(l *Line) { l.Addrs, l.VLAN = nil, "100" })},
		{"host bits", "br1 web 10.1.2.3/8", br1(func(l *Line) { l.Addrs = prefixes("10.1.2.3/8") })},
		{"netmask", "br1 web 192.168.1.2/255.255.0.0", br1(func(l *Line) { l.Addrs = prefixes("192.168.1.2/16") })},
		{"netmask of one", "br1 web 192.168.1.2/255.255.255.255", br1(func(l *Line) { l.Addrs = prefixes("192.168.1.2/32") })},
		{"no address, spelled out", "br1 web 0.0.0.0/0", br1(func(l *Line) { l.Addrs = nil })},
		{"no address, of a subnet", "br1 web 0.0.0.0/24", br1(func(l *Line) { l.Addrs = nil })},
		{"network address", "br1 web 10.0.0.0/24", br1(func(l *Line) { l.Addrs = prefixes("10.0.0.0/24") })},
		{"broadcast address", "br1 web 10.0.0.255/24", br1(func(l *Line) { l.Addrs = prefixes("10.0.0.255/24") })},
		{"one host, gateway outside", "br1 web 10.0.0.2/32@192.0.2.1", br1(func(l *Line) { l.Addrs, l.Gateways = prefixes("10.0.0.2/32"), addrs("192.0.2.1") })},
		{"link-local gateway", "br1 web fd00::2/128@fe80::1", br1(func(l *Line) { l.Addrs, l.Gateways = prefixes("fd00::2/128"), addrs("fe80::1") })},
		{"both families", "br1 web 10.0.0.2/24@10.0.0.1,fd00::2/64@fd00::1", br1(func(l *Line) {
			l.Addrs, l.Gateways = prefixes("10.0.0.2/24", "fd00::2/64"), addrs("10.0.0.1", "fd00::1")
		})},
		{"gateways come IPv4 first", "br1 web fd00::2/64@fd00::1,10.0.0.2/24,10.0.0.3/24@10.0.0.1", br1(func(l *Line) {
			l.Addrs, l.Gateways = prefixes("fd00::2/64", "10.0.0.2/24", "10.0.0.3/24"), addrs("10.0.0.1", "fd00::1")
		})},

		{"dhcp", "br1 web dhcp", br1(func(l *Line) { l.Addrs, l.DHCP = nil, "dhcp" })},
		{"dhcp with options", "br1 web dhcp:-f", br1(func(l *Line) { l.Addrs, l.DHCP = nil, "dhcp:-f" })},
		{"dhcp6", "br1 web dhcp6", br1(func(l *Line) { l.Addrs, l.DHCP = nil, "dhcp6" })},
		{"dhcp6 by family", "br1 -a inet6 web dhcp", br1(func(l *Line) { l.Addrs, l.DHCP, l.Family = nil, "dhcp", Inet6 })},
		{"both families", "br1 web dhcp,dhcp6:-f", br1(func(l *Line) { l.Addrs, l.DHCP = nil, "dhcp,dhcp6:-f" })},
		{"slaac", "br1 web slaac", br1(func(l *Line) { l.Addrs, l.SLAAC = nil, true })},
		{"slaac and dhcp", "br1 web dhcp,slaac", br1(func(l *Line) { l.Addrs, l.SLAAC, l.DHCP = nil, true, "dhcp" })},
		{"options to the end", "br1 web slaac,dhcp:-V,b,c", br1(func(l *Line) { l.Addrs, l.SLAAC, l.DHCP = nil, true, "dhcp:-V,b,c" })},
		{"static and slaac", "br1 web 10.0.0.2/24@10.0.0.1,slaac", br1(func(l *Line) { l.SLAAC, l.Gateways = true, addrs("10.0.0.1") })},
		{"static and dhcp6", "br1 web dhcp6,10.0.0.2/24", br1(func(l *Line) { l.DHCP = "dhcp6" })},
		{"udhcpc", "br1 web udhcpc", br1(func(l *Line) { l.Addrs, l.DHCP = nil, "udhcpc" })},
		{"udhcpc that stays", "br1 web udhcpc-f", br1(func(l *Line) { l.Addrs, l.DHCP = nil, "udhcpc-f" })},
		{"udhcpc with options", "br1 web udhcpc:-O@ntp", br1(func(l *Line) { l.Addrs, l.DHCP = nil, "udhcpc:-O@ntp" })},
		{"dhclient", "br1 web dhclient", br1(func(l *Line) { l.Addrs, l.DHCP = nil, "dhclient" })},
		{"dhclient that stays", "br1 web dhclient-f", br1(func(l *Line) { l.Addrs, l.DHCP = nil, "dhclient-f" })},
		{"dhcpcd with MAC", "br1 web dhcpcd 02:00:00:00:00:0a", br1(func(l *Line) { l.Addrs, l.DHCP, l.MAC = nil, "dhcpcd", mac })},

		{"MAC", "br1 web 10.0.0.2/24 02:00:00:00:00:0A", br1(func(l *Line) { l.MAC = mac })},
		{"MAC made from a string", "br1 web 10.0.0.2/24 U:myhost.foo.com", br1(func(l *Line) {
			l.Unique, l.MAC = "myhost.foo.com", net.HardwareAddr{0x02, 0x72, 0x6c, 0xcd, 0x9b, 0x8d}
		})},
		{"VLAN", "br1 web 10.0.0.2/24 @100", br1(func(l *Line) { l.VLAN = "100" })},
		{"partition key", "ib0 web 10.0.0.2/24 @0x8001", br1(func(l *Line) { l.Interface, l.VLAN = "ib0", "0x8001" })},
		{"made MAC and VLAN", "br1 web 10.0.0.2/24 U:web@100", br1(func(l *Line) { l.Unique, l.MAC, l.VLAN = "web", web, "100" })},
		{"text after a second @ is not read", "br1 web 10.0.0.2/24 U:web@100@x", br1(func(l *Line) { l.Unique, l.MAC, l.VLAN = "web", web, "100" })},
		{"empty last word", `br1 web 10.0.0.2/24 ""`, br1(func(*Line) {})},
	}
}

// fields splits a row's args at spaces; "" is an empty word.
func fields(args string) []string {
	words := strings.Fields(args)
	for i, word := range words {
		if word == `""` {
			words[i] = ""
		}
	}
	return words
}

func TestParse(t *testing.T) {
	for _, row := range goodRows() {
		t.Run(row.name, func(t *testing.T) {
			got, err := Parse(fields(row.args))
			if err != nil {
				t.Fatalf("Parse(%q): %v", row.args, err)
			}
			if diff := cmp.Diff(row.want, got, byValue); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", row.args, diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const (
		syntax = "write pipework <hostinterface> <guest> <address>/<prefix>[@gateway] [macaddr][@vlan]"
		last   = " (the last word is [macaddr|U:string][@vlan])"
		known  = "the options are --direct-phys, --egress, --forward, --hairpin, --ingress, --isolated, --mtu, --no-forward, --pin, --resolv-conf, --route, --rule, --trunk, -a, -i, -l"
		plain  = "holds control characters or broken UTF-8: write printable characters only"
		kind   = `: there is no kind "br": there are bridge, macvlan, macvlan/private, macvlan/vepa, macvlan/passthru, ipvlan, ipvlan/l3, ipvlan/l3s, vlan, veth, phys, ovs, and mac:<address>`
		name   = "holds a '/', ':', white space or unprintable character: leave it out, an interface's name has none"
	)
	for _, row := range []struct {
		name string
		args []string
		want string
	}{
		{"address before the guest", []string{"br1", "10.0.0.2/24", "web"}, `the address "10.0.0.2/24" stands too early: ` + syntax},
		{"address first", []string{"fd00::2/64", "br1", "web"}, `the address "fd00::2/64" stands too early: ` + syntax},
		{"no words", nil, "too few words (0 of at least 3): " + syntax},
		{"no address", []string{"br1", "web"}, "too few words (2 of at least 3): " + syntax},
		{"too many words", []string{"br1", "web", "10.0.0.2/24", "@100", "x\n"}, `too many words, the first too many is "x\n": ` + syntax},
		{"unknown option", []string{"br1", "-x", "web", "10.0.0.2/24"}, `unknown option "-x": ` + known},
		{"MTU too small", []string{"--mtu", "67"}, `--mtu "67" is no number from 68 to 65535`},
		{"no subnet", []string{"--route", "10.8.0.0/33"}, `--route "10.8.0.0/33": "10.8.0.0/33" is no subnet, such as 10.8.0.0/16`},
		{"no router", []string{"--route", "10.8.0.0/16@x"}, `--route "10.8.0.0/16@x": "x" is no address, such as 10.0.0.1`},
		{"no key of a route", []string{"--route", "10.8.0.0/16,via=10.0.0.1"}, `--route "via=10.0.0.1": "via=10.0.0.1" is none of metric=, src=, table=`},
		{"a key twice", []string{"--rule", "priority=1,priority=2"}, `--rule "priority=1,priority=2": priority is given twice: keep one`},
		{"no number", []string{"--rule", "priority=x"}, `--rule "priority=x": priority "x" is no number`},
		{"no rate", []string{"--egress", "rate=fast"}, `--egress "rate=fast": rate "fast" is no rate: write one such as 10mbit or 500kbit`},
		{"no VLAN", []string{"--trunk", "10,30-20"}, `--trunk "10,30-20": "30-20" is no VLAN from 1 to 4094: write such as 10,20-30`},
		{"both of the firewall", []string{"--forward", "--no-forward"}, "--forward and --no-forward contradict each other: keep one"},
		{"no path", []string{"--resolv-conf=a"}, `--resolv-conf needs a path that begins with /, not "a"`},
		{"a slip", []string{"br1", "--iface", "web", "--egres", "rate=1mbit"}, `unknown option "--iface": ` + known},
		{"nearly an option", []string{"br1", "--egres", "rate=1mbit"}, `unknown option "--egres": did you mean --egress?`},
		{"unprintable", []string{"--y\n"}, `unknown option "--y\n": ` + known},
		{"option at the end", []string{"br1", "web", "10.0.0.2/24", "-i"}, "option -i has no value: write -i name"},
		{"option for a value", []string{"br1", "-i", "-l", "web", "10.0.0.2/24"}, "option -i has no value: write -i name"},
		{"option before --", []string{"br1", "-l", "--", "web", "10.0.0.2/24"}, "option -l has no value: write -l name"},
		{"value for a switch", []string{"--direct-phys=1", "br1", "web", "10.0.0.2/24"}, `option --direct-phys takes no value: write --direct-phys alone, not "--direct-phys=1"`},
		{"option twice", []string{"br1", "-i", "eth1", "web", "10.0.0.2/24", "-i=eth2"}, "option -i is given twice: keep one"},
		{"unknown family", []string{"br1", "-a", "5", "web", "10.0.0.2/24"}, `-a "5" is no address family: write 4, 6, inet or inet6`},

		{"empty host interface", []string{"", "web", "10.0.0.2/24"}, "host interface is an empty name: write one such as eth1"},
		{"empty name", []string{"br1", "-i=", "web", "10.0.0.2/24"}, "option -i has no value: write -i name"},
		{"empty name, apart", []string{"br1", "-l", "", "web", "10.0.0.2/24"}, "-l is an empty name: write one such as eth1"},
		{"16 bytes", []string{"br1", "-l", "abcdefghijklmnop", "web", "10.0.0.2/24"}, `-l "abcdefghijklmnop" has 16 bytes: write an interface's name of at most 15`},
		{"dot", []string{".", "web", "10.0.0.2/24"}, `host interface "." names a folder, not an interface: write one such as eth1`},
		{"dots", []string{"br1", "-i", "..", "web", "10.0.0.2/24"}, `-i ".." names a folder, not an interface: write one such as eth1`},
		{"slash", []string{"br1", "-i", "a/b", "web", "10.0.0.2/24"}, `-i "a/b" ` + name},
		{"colon", []string{"br:1", "web", "10.0.0.2/24"}, `host interface "br:1"` + kind},
		{"space", []string{"br1", "-l", "a b", "web", "10.0.0.2/24"}, `-l "a b" ` + name},
		{"tab", []string{"br1", "-l", "a\tb", "web", "10.0.0.2/24"}, `-l "a\tb" ` + name},
		{"escape", []string{"br1", "-i", "a\x1bb", "web", "10.0.0.2/24"}, `-i "a\x1bb" ` + name},
		{"broken UTF-8", []string{"br1", "-i", "a\xff", "web", "10.0.0.2/24"}, `-i "a\xff" ` + name},
		{"no-break space in a letter", []string{"br1", "-i", "voilà", "web", "10.0.0.2/24"}, `-i "voilà" holds the byte 0xa0, white space to the kernel: write plain ASCII letters`},
		{"template", []string{"br1", "-i", "eth%d", "web", "10.0.0.2/24"}, `-i "eth%d" holds a %, which the kernel would replace by a number: write the number`},
		{"mac: without address", []string{"mac:", "web", "10.0.0.2/24"}, `host interface "mac:": "" is not a MAC address: write six bytes, as in 02:00:00:00:00:01`},
		{"mac: multicast", []string{"mac:01:00:5e:00:00:01", "web", "10.0.0.2/24"}, `host interface "mac:01:00:5e:00:00:01": the MAC address "01:00:5e:00:00:01" is a multicast one: make its first byte even, as in 02:00:00:00:00:01`},

		{"empty guest", []string{"br1", "", "10.0.0.2/24"}, "the guest is empty: name a container, or check that the variable it came from is set"},
		{"guest with a newline", []string{"br1", "we\nb", "10.0.0.2/24"}, `the guest "we\nb" ` + plain},
		{"guest with a line separator", []string{"br1", "we\u2028b", "10.0.0.2/24"}, `the guest "we\u2028b" ` + plain},

		{"empty address", []string{"br1", "web", ""}, `"" is not an address: write 10.0.0.2/24, fd00::2/64, 0/0 for none, dhcp, dhcp6 or slaac`},
		{"not an address", []string{"br1", "web", "we\nb"}, `"we\nb" is not an address: write 10.0.0.2/24, fd00::2/64, 0/0 for none, dhcp, dhcp6 or slaac`},
		{"short address", []string{"br1", "web", "10/8"}, `"10/8" is not an address: write 10.0.0.2/24, fd00::2/64, 0/0 for none, dhcp, dhcp6 or slaac`},
		{"unknown client", []string{"br1", "web", "dhcp7"}, `"dhcp7" is not an address: did you mean dhcp?`},
		{"gateway beside dhcp", []string{"br1", "web", "dhcp@10.0.0.1"}, `"dhcp@10.0.0.1": dhcp brings its own gateway: leave out @10.0.0.1`},
		{"client with a slip", []string{"br1", "web", "UDHCP"}, `"UDHCP" is not an address: did you mean dhcp?`},
		{"slaac with a slip", []string{"br1", "web", "slac"}, `"slac" is not an address: did you mean slaac?`},
		{"a program beside an address", []string{"br1", "web", "10.0.0.9/24,udhcpc"}, `udhcpc takes other IPv4 addresses away: write dhcp, or leave 10.0.0.9/24 out`},
		{"two clients", []string{"br1", "web", "udhcpc,dhcp"}, `dhcp beside udhcpc: only dhcp and dhcp6 go together`},
		{"three clients", []string{"br1", "web", "dhcp,dhcp6,dhcp"}, `dhcp beside dhcp,dhcp6: only dhcp and dhcp6 go together`},
		{"a client twice", []string{"br1", "web", "dhcp6,dhcp6"}, `dhcp6 is given twice: keep one`},
		{"slaac twice", []string{"br1", "web", "slaac,slaac"}, `slaac is given twice: keep one`},
		{"slaac of the wrong family", []string{"br1", "-a", "4", "web", "slaac"}, `-a 4 refuses slaac, which is IPv6: leave one of them out`},
		{"dhcp6 of the wrong family", []string{"br1", "-a", "4", "web", "dhcp6"}, `-a 4 refuses dhcp6: write dhcp, or leave out -a`},
		{"both of one family", []string{"br1", "-a", "6", "web", "dhcp,dhcp6"}, `-a 6 refuses dhcp beside dhcp6: write dhcp6 alone, or leave out -a`},
		{"options of slaac", []string{"br1", "web", "slaac:-f"}, `"slaac:-f" is not an address: write 10.0.0.2/24, fd00::2/64, 0/0 for none, dhcp, dhcp6 or slaac`},
		{"client with a newline", []string{"br1", "web", "dhcp:\n"}, `the DHCP word "dhcp:\n" ` + plain},
		{"no prefix length", []string{"br1", "web", "10.0.0.2"}, "The IP address should include a netmask. Maybe you meant 10.0.0.2/24 ?"},
		{"no prefix length, gateway", []string{"br1", "web", "10.0.0.2@10.0.0.1"}, "The IP address should include a netmask. Maybe you meant 10.0.0.2/24 ?"},
		{"no prefix length, IPv6", []string{"br1", "web", "fd00::2"}, "The IP address should include a netmask. Maybe you meant fd00::2/64 ?"},
		{"prefix over 32", []string{"br1", "web", "10.0.0.2/33"}, `the prefix length of "10.0.0.2/33" is not a number from 0 to 32: did you mean 10.0.0.2/24?`},
		{"prefix over 128", []string{"br1", "web", "fd00::2/129"}, `the prefix length of "fd00::2/129" is not a number from 0 to 128: did you mean fd00::2/64?`},
		{"no netmask", []string{"br1", "web", "10.0.0.2/255.0.255.0"}, `the prefix length of "10.0.0.2/255.0.255.0" is not a number from 0 to 32: did you mean 10.0.0.2/24?`},
		{"netmask of IPv6", []string{"br1", "web", "fd00::2/255.255.255.0"}, `the prefix length of "fd00::2/255.255.255.0" is not a number from 0 to 128: did you mean fd00::2/64?`},
		{"no address beside one", []string{"br1", "web", "0.0.0.0/24,10.0.0.2/24"}, `"0.0.0.0/24": 0/0 means no address and stands alone: leave it out, or the gateways and addresses beside it`},
		{"empty prefix", []string{"br1", "web", "10.0.0.2/"}, `the prefix length of "10.0.0.2/" is not a number from 0 to 32: did you mean 10.0.0.2/24?`},
		{"two prefixes", []string{"br1", "web", "10.0.0.2/24/24"}, `the prefix length of "10.0.0.2/24/24" is not a number from 0 to 32: did you mean 10.0.0.2/24?`},
		{"IPv4 in IPv6", []string{"br1", "web", "::ffff:10.0.0.2/120"}, `the address "::ffff:10.0.0.2/120" is IPv4 in IPv6 clothing: write it as 10.0.0.2`},
		{"zone", []string{"br1", "web", "fe80::2%eth0/64"}, `the address "fe80::2%eth0/64" has a zone, which the interface already says: write it as fe80::2`},
		{"unspecified", []string{"br1", "web", "0.0.0.0"}, `the address "0.0.0.0" is the unspecified one: write the guest's own address, or 0/0 for none`},
		{"unspecified, IPv6", []string{"br1", "web", "::/0"}, `the address "::/0" is the unspecified one: write the guest's own address, or 0/0 for none`},
		{"multicast", []string{"br1", "web", "224.0.0.1/4"}, `the address "224.0.0.1/4" is a multicast one: write the guest's own address, or 0/0 for none`},
		{"multicast, IPv6", []string{"br1", "web", "ff02::1/64"}, `the address "ff02::1/64" is a multicast one: write the guest's own address, or 0/0 for none`},
		{"limited broadcast", []string{"br1", "web", "255.255.255.255/32"}, `the address "255.255.255.255/32" is the limited broadcast: write the guest's own address, or 0/0 for none`},
		{"family mismatch", []string{"br1", "-a", "4", "web", "fd00::2/64"}, "-a 4 refuses the IPv6 address fd00::2/64: write -a 6, or leave out -a"},
		{"family mismatch, inet6", []string{"br1", "-a", "inet6", "web", "fd00::2/64,10.0.0.2/24"}, "-a 6 refuses the IPv4 address 10.0.0.2/24: write -a 4, or leave out -a"},
		{"address twice", []string{"br1", "web", "10.0.0.2/24,10.0.0.2/24"}, "the address 10.0.0.2/24 is given twice: keep one"},
		{"extra comma", []string{"br1", "web", "10.0.0.2/24,"}, `the list "10.0.0.2/24," has an empty place: leave out the extra comma`},

		{"0/0 and a gateway", []string{"br1", "web", "0/0@10.0.0.1"}, `"0/0@10.0.0.1": 0/0 means no address and stands alone: leave it out, or the gateways and addresses beside it`},
		{"0/0 and an address", []string{"br1", "web", "10.0.0.2/24,0/0"}, `"0/0": 0/0 means no address and stands alone: leave it out, or the gateways and addresses beside it`},
		{"empty gateway", []string{"br1", "web", "10.0.0.2/24@"}, `the gateway "" is not an address: write it without a prefix length, as in 10.0.0.2/24@10.0.0.1, or leave out the @`},
		{"gateway with prefix", []string{"br1", "web", "10.0.0.2/24@10.0.0.1/24"}, `the gateway "10.0.0.1/24" is not an address: write it without a prefix length, as in 10.0.0.2/24@10.0.0.1, or leave out the @`},
		{"gateway of the other family", []string{"br1", "web", "10.0.0.2/24@fd00::1"}, "the gateway fd00::1 is IPv6 and its address 10.0.0.2/24 is not: give a gateway of the same family"},
		{"gateway is the address", []string{"br1", "web", "10.0.0.2/24@10.0.0.2"}, "the gateway 10.0.0.2 is the guest's own address: write the router's"},
		{"gateway is another address", []string{"br1", "web", "10.0.0.2/24@10.0.0.3,10.0.0.3/24"}, "the gateway 10.0.0.3 is the guest's own address: write the router's"},
		{"unspecified gateway", []string{"br1", "web", "10.0.0.2/24@0.0.0.0"}, `the gateway "0.0.0.0" is the unspecified one: write the router's own address, or leave out the @`},
		{"multicast gateway", []string{"br1", "web", "fd00::2/64@ff02::2"}, `the gateway "ff02::2" is a multicast one: write the router's own address, or leave out the @`},
		{"broadcast gateway", []string{"br1", "web", "10.0.0.2/24@255.255.255.255"}, `the gateway "255.255.255.255" is the limited broadcast: write the router's own address, or leave out the @`},
		{"gateway with a zone", []string{"br1", "web", "fd00::2/64@fe80::1%\n"}, `the gateway "fe80::1%\n" has a zone, which the interface already says: write it as fe80::1`},
		{"IPv4 in IPv6 gateway", []string{"br1", "web", "fd00::2/64@::ffff:10.0.0.1"}, `the gateway "::ffff:10.0.0.1" is IPv4 in IPv6 clothing: write it as 10.0.0.1`},
		{"two gateways, one address", []string{"br1", "web", "10.0.0.2/24@10.0.0.1@10.0.0.3"}, `the gateway is given twice in "@10.0.0.1@10.0.0.3": keep one after the @`},
		{"two gateways, two addresses", []string{"br1", "web", "10.0.0.2/24@10.0.0.1,10.0.0.3/24@10.0.0.4"}, "the gateway 10.0.0.4 is given twice for IPv4: keep one default gateway a family"},

		{"not a MAC", []string{"br1", "web", "10.0.0.2/24", "10\n0"}, `"10\n0" is not a MAC address: write six bytes, as in 02:00:00:00:00:01` + last},
		{"VLAN without @", []string{"br1", "web", "10.0.0.2/24", "100"}, `"100" is not a MAC address: write six bytes, as in 02:00:00:00:00:01` + last},
		{"multicast MAC", []string{"br1", "web", "10.0.0.2/24", "03:00:00:00:00:01"}, `the MAC address "03:00:00:00:00:01" is a multicast one: make its first byte even, as in 02:00:00:00:00:01` + last},
		{"all-zero MAC", []string{"br1", "web", "10.0.0.2/24", "00:00:00:00:00:00"}, `the MAC address "00:00:00:00:00:00" is all zeros: write one such as 02:00:00:00:00:01` + last},
		{"short MAC", []string{"br1", "web", "10.0.0.2/24", "02:00:00:00:00"}, `"02:00:00:00:00" is not a MAC address: write six bytes, as in 02:00:00:00:00:01` + last},
		{"EUI-64", []string{"br1", "web", "10.0.0.2/24", "02:00:00:ff:fe:00:00:01"}, `the MAC address "02:00:00:ff:fe:00:00:01" has 8 bytes: write the six of Ethernet, as in 02:00:00:00:00:01` + last},
		{"U: alone", []string{"br1", "web", "10.0.0.2/24", "U:"}, `"U:" names nothing to make a MAC address from: write U:web, or leave it out`},
		{"U: with a VLAN", []string{"br1", "web", "10.0.0.2/24", "U:@100"}, `"U:" names nothing to make a MAC address from: write U:web, or leave it out`},
		{"U: with a newline", []string{"br1", "web", "10.0.0.2/24", "U:\n"}, `"U:\n" ` + plain},
		{"empty VLAN", []string{"br1", "web", "10.0.0.2/24", "U:web@"}, "no VLAN follows the @ of the last word: write @100, or leave out the @"},
		{"VLAN with other letters", []string{"br1", "web", "10.0.0.2/24", "@1g0"}, `the VLAN "1g0" is not a number: write @100 (for IPoIB a partition key such as @8001)`},

		{"everything at once", []string{"br:1", "-i", "c", "", "10.0.0.2@x", "U:@"}, `host interface "br:1"` + kind +
			"; the guest is empty: name a container, or check that the variable it came from is set" +
			"; The IP address should include a netmask. Maybe you meant 10.0.0.2/24 ?" +
			`; the gateway "x" is not an address: write it without a prefix length, as in 10.0.0.2/24@10.0.0.1, or leave out the @` +
			`; "U:" names nothing to make a MAC address from: write U:web, or leave it out` +
			"; no VLAN follows the @ of the last word: write @100, or leave out the @"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := Parse(row.args)
			checkRefusal(t, err, row.want)
			if diff := cmp.Diff(Line{}, got, byValue); diff != "" {
				t.Errorf("Parse(%q) returned a Line beside its error (-want +got):\n%s", row.args, diff)
			}
		})
	}
}

// checkRefusal wants err to be the given text and a usage error.
func checkRefusal(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if !errors.Is(err, ErrUsage) {
		t.Errorf("error %q is not ErrUsage", err)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error %q is errors.ErrUnsupported", err)
	}
}

func TestVLANID(t *testing.T) {
	const mend = " is not a decimal number from 1 to 4094: write one, such as @100"
	for _, row := range []struct {
		vlan, refusal string
		want          uint16
	}{
		{vlan: "", want: 0},
		{vlan: "1", want: 1},
		{vlan: "4094", want: 4094},
		{vlan: "0", refusal: `the VLAN "0"` + mend},
		{vlan: "4095", refusal: `the VLAN "4095"` + mend},
		{vlan: "8001", refusal: `the VLAN "8001"` + mend},
		{vlan: "65537", refusal: `the VLAN "65537"` + mend},
		{vlan: "0x64", refusal: `the VLAN "0x64"` + mend},
		{vlan: "ffff", refusal: `the VLAN "ffff"` + mend},
		{vlan: "1\n", refusal: `the VLAN "1\n"` + mend},
	} {
		t.Run("@"+row.vlan, func(t *testing.T) {
			got, err := Line{VLAN: row.vlan}.VLANID()
			if row.refusal != "" {
				checkRefusal(t, err, row.refusal)
			} else if err != nil {
				t.Error(err)
			}
			if got != row.want {
				t.Errorf("VLANID() = %d, want %d", got, row.want)
			}
		})
	}
}

func TestFamilyString(t *testing.T) {
	for family, want := range map[Family]string{0: "any", Inet: "IPv4", Inet6: "IPv6"} {
		if got := family.String(); got != want {
			t.Errorf("Family(%d).String() = %q, want %q", uint8(family), got, want)
		}
	}
}

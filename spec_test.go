package pipework

import (
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/link"
)

func prefixes(words ...string) (list []netip.Prefix) {
	for _, w := range words {
		list = append(list, netip.MustParsePrefix(w))
	}
	return list
}

func TestValidate(t *testing.T) {
	good := Spec{Link: link.Bridge{Name: "br1"}, Name: "eth1"}
	gw := func(words ...string) (list []netip.Addr) {
		for _, w := range words {
			list = append(list, netip.MustParseAddr(w))
		}
		return list
	}
	for name, test := range map[string]struct {
		change func(*Spec)
		want   string // "": valid
	}{
		"nothing":            {func(*Spec) {}, ""},
		"both families":      {func(s *Spec) { s.Addrs, s.Gateways = prefixes("10.0.0.2/24", "fd00::2/64"), gw("10.0.0.1", "fe80::1") }, ""},
		"gateway elsewhere":  {func(s *Spec) { s.Addrs, s.Gateways = prefixes("10.0.0.2/32"), gw("10.9.9.9") }, ""},
		"no link":            {func(s *Spec) { s.Link = nil }, "no link"},
		"long name":          {func(s *Spec) { s.Name = "a234567890123456" }, "the kernel takes 15"},
		"multicast MAC":      {func(s *Spec) { s.MAC = net.HardwareAddr{1, 0, 0, 0, 0, 1} }, "multicast"},
		"zero MAC":           {func(s *Spec) { s.MAC = make(net.HardwareAddr, 6) }, "no address"},
		"InfiniBand MAC":     {func(s *Spec) { s.MAC = make(net.HardwareAddr, 20) }, "20 bytes"},
		"tiny MTU":           {func(s *Spec) { s.MTU = 67 }, "68 to 65535"},
		"huge MTU":           {func(s *Spec) { s.MTU = 65536 }, "68 to 65535"},
		"MTU below IPv6's":   {func(s *Spec) { s.MTU, s.Addrs = 1279, prefixes("fd00::1/64") }, "1280"},
		"MTU below DHCPv6's": {func(s *Spec) { s.MTU, s.DHCP = 1279, &dhcp.Config{Family: dhcp.Both} }, "1280"},
		"MTU below SLAAC's":  {func(s *Spec) { s.MTU, s.SLAAC = 1279, true }, "1280"},
		"MTU of DHCPv4":      {func(s *Spec) { s.MTU, s.DHCP = 1279, &dhcp.Config{} }, ""},
		"gateway of DHCPv6":  {func(s *Spec) { s.DHCP, s.Gateways = &dhcp.Config{Family: dhcp.IPv6}, gw("fd00::1") }, ""},
		"gateway of SLAAC":   {func(s *Spec) { s.SLAAC, s.Gateways = true, gw("fe80::1") }, ""},
		"gateway of DHCPv4":  {func(s *Spec) { s.DHCP, s.Gateways = &dhcp.Config{}, gw("fd00::1") }, "needs an IPv6 address"},
		"no family":          {func(s *Spec) { s.DHCP = &dhcp.Config{Family: "v6"} }, `"v6" is no family`},
		"requested of IPv6":  {func(s *Spec) { s.DHCP = &dhcp.Config{Requested: netip.MustParseAddr("fd00::1")} }, "no IPv4 address"},
		"requested of IPv4":  {func(s *Spec) { s.DHCP = &dhcp.Config{Family: dhcp.IPv6, Requested: netip.MustParseAddr("10.0.0.1")} }, "no IPv6 address"},
		"short DUID":         {func(s *Spec) { s.DHCP = &dhcp.Config{DUID: []byte{1}} }, "a DUID of 1 bytes"},
		"empty address":      {func(s *Spec) { s.Addrs = []netip.Prefix{{}} }, "not valid"},
		"mapped address":     {func(s *Spec) { s.Addrs = prefixes("::ffff:10.0.0.1/120") }, "write 10.0.0.1"},
		"no address":         {func(s *Spec) { s.Addrs = prefixes("0.0.0.0/0") }, "no address of an interface"},
		"multicast address":  {func(s *Spec) { s.Addrs = prefixes("224.0.0.1/24") }, "no address of an interface"},
		"subnet's own":       {func(s *Spec) { s.Addrs = prefixes("10.0.0.0/24") }, "address 10.0.0.0/24 is the subnet's own"},
		"broadcast":          {func(s *Spec) { s.Addrs = prefixes("10.0.0.255/24") }, "the subnet's broadcast address"},
		"point to point":     {func(s *Spec) { s.Addrs = prefixes("10.0.0.0/31", "10.1.0.255/32", "fd00::/127", "fd01::/128") }, ""},
		"all routers":        {func(s *Spec) { s.Addrs = prefixes("fd00::/64") }, "of all routers of the subnet"},
		"loopback":           {func(s *Spec) { s.Addrs = prefixes("127.0.0.2/8") }, "the loopback's"},
		"reserved":           {func(s *Spec) { s.Addrs = prefixes("240.0.0.1/24") }, "reserved"},
		"prefix length 0":    {func(s *Spec) { s.Addrs = prefixes("10.0.0.2/0") }, "prefix length 0"},
		"broadcast gateway":  {func(s *Spec) { s.Addrs, s.Gateways = prefixes("10.0.0.2/24"), gw("10.0.0.255") }, "gateway 10.0.0.255: address 10.0.0.255/24 is the subnet's broadcast address"},
		"gateway of nobody":  {func(s *Spec) { s.Addrs, s.Gateways = prefixes("10.0.0.2/24"), gw("127.0.0.1") }, "gateway 127.0.0.1: 127.0.0.1 is no address"},
		"anycast gateway":    {func(s *Spec) { s.Addrs, s.Gateways = prefixes("fd00::2/64"), gw("fd00::") }, ""},
		"twice":              {func(s *Spec) { s.Addrs = prefixes("10.0.0.2/24", "10.0.0.2/24") }, "given twice"},
		"own gateway":        {func(s *Spec) { s.Addrs, s.Gateways = prefixes("10.0.0.2/24"), gw("10.0.0.2") }, "own address"},
		"other family":       {func(s *Spec) { s.Addrs, s.Gateways = prefixes("10.0.0.2/24"), gw("fd00::1") }, "needs an IPv6 address"},
		"two gateways":       {func(s *Spec) { s.Addrs, s.Gateways = prefixes("10.0.0.2/24"), gw("10.0.0.1", "10.0.0.3") }, "only one default route"},
		"multicast gateway":  {func(s *Spec) { s.Addrs, s.Gateways = prefixes("10.0.0.2/24"), gw("224.0.0.1") }, "no address of a gateway"},
		"everything at once": {func(s *Spec) { s.MTU, s.MAC, s.Name = 1, make(net.HardwareAddr, 6), "a/b" }, "a/b"},
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			test.change(&s)
			err := s.validate()
			if err == nil != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("validate: %v, want %q", err, test.want)
			}
		})
	}
	s := good
	s.MTU, s.MAC, s.Name = 1, make(net.HardwareAddr, 6), "a/b"
	text := (&Error{Op: "attach", Err: s.validate()}).Error()
	if strings.Count(text, ";") != 2 || strings.Contains(text, "\n") {
		t.Errorf("three faults on one line: %q", text)
	}
}

// TestDigest changes each field of a Spec in turn: a field that does not change
// the digest would let two different Specs pass for one.
func TestDigest(t *testing.T) {
	seen := map[string]string{}
	add := func(field string, s Spec) {
		t.Helper()
		d, err := s.digest()
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[d]; ok {
			t.Errorf("%s has the digest of %s", field, other)
		}
		seen[d] = field
	}
	base := Spec{Link: link.Bridge{Name: "br1"}, Name: "eth1"}
	add("nothing", base)
	for name, change := range map[string]func(*Spec){
		"Link":     func(s *Spec) { s.Link = link.Bridge{Name: "br1", HostName: "x"} },
		"Name":     func(s *Spec) { s.Name = "eth2" },
		"MAC":      func(s *Spec) { s.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 1} },
		"MTU":      func(s *Spec) { s.MTU = 1400 },
		"Addrs":    func(s *Spec) { s.Addrs = prefixes("10.0.0.2/24") },
		"DHCP":     func(s *Spec) { s.DHCP = &dhcp.Config{} },
		"SLAAC":    func(s *Spec) { s.SLAAC = true },
		"Gateways": func(s *Spec) { s.Gateways = []netip.Addr{netip.MustParseAddr("10.0.0.1")} },
		"Routes":   func(s *Spec) { s.Routes = []link.Route{{Dst: netip.MustParsePrefix("10.9.0.0/16")}} },
		"Rules":    func(s *Spec) { s.Rules = []link.Rule{{Priority: 5}} },
		"Egress":   func(s *Spec) { s.Egress = &link.Shaping{Rate: 1e6} },
		"Ingress":  func(s *Spec) { s.Ingress = &link.Shaping{Rate: 1e6} },
		"Pin":      func(s *Spec) { s.Pin = true },
	} {
		s := base
		change(&s)
		add(name, s)
	}
	known := len(seen) - 1
	const ways = 7 // AllowHost permits, Force, Add, Beneath, Last and Saved are for one call, DefaultMAC is no matter later: they change nothing that is there
	if fields := reflect.TypeFor[Spec]().NumField(); fields != known+ways {
		t.Errorf("Spec has %d fields, this test knows %d: leave the new one out of canonical, or give it a line here", fields, known+ways)
	}
}

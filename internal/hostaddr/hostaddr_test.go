package hostaddr

import (
	"net/netip"
	"strings"
	"testing"
)

func TestIn(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.2/24": "", "10.0.0.0/31": "", "10.0.0.1/31": "", "10.0.0.0/32": "", "10.0.0.255/32": "", "10.0.0.255/23": "", "10.0.1.0/23": "",
		"fd00::1/64": "", "fd00::/127": "", "fd00::/128": "", "fd00::ffff:ffff:ffff:ffff/64": "", "fe80::1/64": "", "1.0.0.1/1": "", "223.255.255.254/24": "",
		"10.0.0.0/24":        "is the subnet's own: write one of a host, such as 10.0.0.1/24",
		"10.0.0.0/30":        "is the subnet's own",
		"10.0.0.255/24":      "is the subnet's broadcast address: write one of a host, such as 10.0.0.254/24",
		"10.0.0.3/30":        "broadcast",
		"fd00::/64":          "is that of all routers of the subnet",
		"fd00::4/126":        "all routers",
		"10.0.0.2/0":         "prefix length 0, by which every address would be on the link: write that of the subnet, such as 24",
		"fd00::2/0":          "such as 64",
		"127.0.0.2/8":        "the loopback's",
		"127.1.2.3/32":       "the loopback's",
		"::1/128":            "no address of an interface",
		"240.0.0.1/24":       "reserved",
		"255.255.255.255/32": "reserved",
		"0.0.0.1/24":         "this network",
		"0.0.0.0/0":          "no address of an interface",
		"224.0.0.1/24":       "no address of an interface",
		"ff02::1/64":         "no address of an interface",
	} {
		err := In(netip.MustParsePrefix(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

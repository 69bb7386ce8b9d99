package dhcp

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// ack is an acknowledgement of 10.0.0.5, with options changed.
func ack(t testing.TB, options map[uint8][]byte) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.New(dhcpv4.WithYourIP(net.IPv4(10, 0, 0, 5)), dhcpv4.WithMessageType(dhcpv4.MessageTypeAck))
	if err != nil {
		t.Fatal(err)
	}
	m.OpCode = dhcpv4.OpcodeBootReply
	for code, value := range map[uint8][]byte{1: {255, 255, 255, 0}, 54: {10, 0, 0, 1}, 51: {0, 0, 0, 100}} {
		m.Options[code] = value
	}
	for code, value := range options {
		if m.Options[code] = value; value == nil {
			delete(m.Options, code)
		}
	}
	return m
}

func TestUnbelievable(t *testing.T) {
	for name, options := range map[string]map[uint8][]byte{
		"no server":         {54: nil},
		"short server":      {54: {10, 0}},
		"server 0":          {54: {0, 0, 0, 0}},
		"server multicast":  {54: {224, 0, 0, 1}},
		"server is client":  {54: {10, 0, 0, 5}},
		"no lease time":     {51: nil},
		"lease time 0":      {51: {0, 0, 0, 0}},
		"short lease time":  {51: {1}},
		"mask with a hole":  {1: {255, 0, 255, 0}},
		"mask of all":       {1: {0, 0, 0, 0}},
		"short mask":        {1: {255}},
		"network's address": {1: {255, 255, 255, 255 - 1 - 2}, 54: {10, 0, 0, 1}, 50: nil},
	} {
		m := ack(t, options)
		if name == "network's address" {
			m.YourIPAddr = net.IPv4(10, 0, 0, 4)
		}
		if l, err := parse(m, nil, time.Now()); err == nil {
			t.Errorf("%s: %+v", name, l)
		}
	}
	for _, a := range []string{"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.1.2.3", "10.0.0.0", "10.0.0.255"} {
		m := ack(t, nil)
		m.YourIPAddr = net.ParseIP(a)
		if l, err := parse(m, nil, time.Now()); err == nil {
			t.Errorf("address %s: %+v", a, l)
		}
	}
}

func TestTimes(t *testing.T) {
	for name, test := range map[string]struct {
		options map[uint8][]byte
		want    [3]int // seconds after the request
	}{
		"by default":      {nil, [3]int{50, 87, 100}},
		"as told":         {map[uint8][]byte{58: {0, 0, 0, 7}, 59: {0, 0, 0, 9}}, [3]int{7, 9, 100}},
		"T1 after T2":     {map[uint8][]byte{58: {0, 0, 0, 90}, 59: {0, 0, 0, 40}}, [3]int{35, 40, 100}},
		"T2 after expiry": {map[uint8][]byte{59: {0, 0, 1, 0}}, [3]int{50, 87, 100}},
		"malformed":       {map[uint8][]byte{58: {1}, 59: {}}, [3]int{50, 87, 100}},
	} {
		sent := time.Unix(1000, 0)
		l, err := parse(ack(t, test.options), nil, sent)
		if err != nil {
			t.Fatal(err)
		}
		got := [3]int{int(l.Renew.Sub(sent).Seconds()), int(l.Rebind.Sub(sent).Seconds()), int(l.Expires.Sub(sent).Seconds())}
		if got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	l, err := parse(ack(t, map[uint8][]byte{51: {255, 255, 255, 255}}), nil, time.Now())
	if err != nil || !l.Renew.IsZero() || !l.Expires.IsZero() || l.Remaining(time.Now()) >= 0 {
		t.Errorf("for ever: %+v, %v", l, err)
	}
}

func TestOptions(t *testing.T) {
	l, err := parse(ack(t, map[uint8][]byte{
		1:   nil,                                                                // class A
		3:   {10, 0, 0, 1, 10, 0, 0, 5, 224, 0, 0, 1, 10, 0, 0, 1, 10, 0, 0, 2}, // twice, itself, multicast
		6:   {10, 0, 0},
		15:  []byte("ex\nnameserver 6.6.6.6"),
		26:  {0, 68},
		119: {3, 'a', 10, 'b', 0, 2, 'o', 'k', 0},
		200: {1, 2},
	}), []uint8{200, 201}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if l.Addr.Bits() != 8 || l.DNS != nil || l.Domain != "" || l.MTU != 0 || !slices.Equal(l.Search, []string{"ok"}) || len(l.Options) != 1 {
		t.Errorf("%+v", l)
	}
	if want := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}; !slices.Equal(l.Routers, want) {
		t.Errorf("routers %v", l.Routers)
	}
}

func TestRoutes(t *testing.T) {
	own := netip.MustParseAddr("10.0.0.5")
	for name, test := range map[string]struct {
		b    []byte
		want string
	}{
		"host bits":        {[]byte{9, 10, 255, 10, 0, 0, 1}, "10.128.0.0/9 10.0.0.1"},
		"default":          {[]byte{0, 10, 0, 0, 1}, "0.0.0.0/0 10.0.0.1"},
		"on link":          {[]byte{24, 10, 1, 2, 0, 0, 0, 0}, "10.1.2.0/24 0.0.0.0"},
		"default on link":  {[]byte{0, 0, 0, 0, 0}, ""},
		"through itself":   {[]byte{8, 11, 10, 0, 0, 5}, ""},
		"loopback":         {[]byte{8, 127, 10, 0, 0, 1}, ""},
		"multicast":        {[]byte{4, 224, 10, 0, 0, 1}, ""},
		"mask of 33":       {[]byte{33, 1, 2, 3, 4, 5, 10, 0, 0, 1}, ""},
		"cut short":        {[]byte{8, 11, 10, 0, 0, 1, 16, 12, 1, 10}, "11.0.0.0/8 10.0.0.1"},
		"twice":            {[]byte{8, 11, 10, 0, 0, 1, 8, 11, 10, 0, 0, 2}, "11.0.0.0/8 10.0.0.1"},
		"through the void": {[]byte{8, 11, 255, 255, 255, 255}, ""},
	} {
		got := ""
		for _, r := range routes(test.b, own) {
			got += r.Dst.String() + " " + r.Via.String()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestOlderRoutes reads the forms that routes had before option 121, and what is at once.
func TestOlderRoutes(t *testing.T) {
	classless := []byte{16, 10, 200, 10, 0, 0, 1}
	classful := []byte{10, 0, 0, 0, 10, 0, 0, 9, 172, 16, 5, 0, 10, 0, 0, 9, 192, 168, 7, 0, 10, 0, 0, 9,
		0, 0, 0, 0, 10, 0, 0, 9, 127, 0, 0, 0, 10, 0, 0, 9, 11, 0, 0, 0, 10, 0, 0, 5}
	routers := []byte{10, 0, 0, 254}
	const older = "[{10.0.0.0/8 10.0.0.9} {172.16.5.0/32 10.0.0.9} {192.168.7.0/24 10.0.0.9}] [10.0.0.254]"
	for name, row := range map[string]struct {
		options map[uint8][]byte
		want    string
	}{
		"249":                {map[uint8][]byte{249: classless, 33: classful, 3: routers}, "[{10.200.0.0/16 10.0.0.1}] []"},
		"121 and 249":        {map[uint8][]byte{121: {8, 11, 10, 0, 0, 1}, 249: classless, 3: routers}, "[{11.0.0.0/8 10.0.0.1}] []"},
		"121 and 33":         {map[uint8][]byte{121: classless, 33: classful, 3: routers}, "[{10.200.0.0/16 10.0.0.1}] []"},
		"33":                 {map[uint8][]byte{33: classful, 3: routers}, older},
		"33, cut off":        {map[uint8][]byte{33: classful[:12], 3: routers}, "[] [10.0.0.254]"},
		"121 of no route":    {map[uint8][]byte{121: {40}, 33: classful, 3: routers}, older},
		"33, one host twice": {map[uint8][]byte{33: {1, 2, 3, 4, 10, 0, 0, 1, 1, 2, 3, 4, 10, 0, 0, 2}}, "[{1.2.3.4/32 10.0.0.1}] []"},
	} {
		l, err := parse(ack(t, row.options), nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(l.Routes, l.Routers); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

func FuzzLease(f *testing.F) {
	f.Add(ack(f, nil).ToBytes())
	f.Add(ack(f, map[uint8][]byte{121: {0, 10, 0, 0, 1, 33}, 119: {0xc0, 0, 0xc0}, 3: make([]byte, 400)}).ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := dhcpv4.FromBytes(b)
		if err != nil {
			return
		}
		l, err := parse(m, []uint8{43, 66}, time.Unix(1000, 0))
		if err != nil {
			return
		}
		switch a := l.Addr.Addr(); {
		case !l.Addr.IsValid() || !hostAddr(a) || l.Addr.Bits() == 0 || !hostAddr(l.Server) || l.Server == a:
			t.Errorf("address %v, server %v", l.Addr, l.Server)
		case !l.Expires.IsZero() && (l.Renew.After(l.Rebind) || l.Rebind.After(l.Expires) || l.Renew.Before(time.Unix(1001, 0))):
			t.Errorf("times %v %v %v", l.Renew, l.Rebind, l.Expires)
		case l.MTU != 0 && (l.MTU < minMTU || l.MTU > 65535), len(l.Routes) > 0 && len(l.Routers) > 0:
			t.Errorf("%+v", l)
		}
		for _, a := range slices.Concat(l.Routers, l.DNS, l.NTP) {
			if !hostAddr(a) {
				t.Errorf("host %v", a)
			}
		}
		for _, r := range l.Routes {
			if !r.Dst.IsValid() || r.Dst != r.Dst.Masked() || !r.Via.Is4() {
				t.Errorf("route %v", r)
			}
		}
		for _, name := range append(slices.Clone(l.Search), "x"+l.Domain) {
			if !validDomain(name) {
				t.Errorf("name %q", name)
			}
		}
	})
}

package dhcp

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

var me = identity6{duid: []byte("\x00\x03\x00\x01\x02\x00\x00\x00\x00\x07"), iaid: 7}

// an iaaddr is one address option: the address, and seconds.
type iaaddr struct {
	addr             string
	preferred, valid uint32
}

// answer6 is a server's answer to me, with these times and addresses, changed.
func answer6(kind dhcpv6.MessageType, t1, t2 uint32, addrs []iaaddr, change ...func(*dhcpv6.Message, *dhcpv6.OptIANA)) *dhcpv6.Message {
	m := &dhcpv6.Message{MessageType: kind, TransactionID: dhcpv6.TransactionID{1, 2, 3}}
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionClientID, OptionData: me.duid})
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionServerID, OptionData: []byte("\x00\x02server")})
	ia := &dhcpv6.OptIANA{T1: time.Duration(t1) * time.Second, T2: time.Duration(t2) * time.Second}
	binary.BigEndian.PutUint32(ia.IaId[:], me.iaid)
	for _, a := range addrs {
		ia.Options.Add(&dhcpv6.OptIAAddress{
			IPv6Addr:          netip.MustParseAddr(a.addr).AsSlice(),
			PreferredLifetime: time.Duration(a.preferred) * time.Second, ValidLifetime: time.Duration(a.valid) * time.Second,
		})
	}
	m.AddOption(ia)
	for _, f := range change {
		f(m, ia)
	}
	return m
}

var one6 = []iaaddr{{"fd77::5", 60, 100}}

// unbelievable6 are changes that make an answer one to be ignored.
var unbelievable6 = map[string]func(*dhcpv6.Message, *dhcpv6.OptIANA){
	"no client": func(m *dhcpv6.Message, _ *dhcpv6.OptIANA) { m.Options.Del(dhcpv6.OptionClientID) },
	"another client": func(m *dhcpv6.Message, _ *dhcpv6.OptIANA) {
		m.UpdateOption(generic(dhcpv6.OptionClientID, "\x00\x02other"))
	},
	"no server": func(m *dhcpv6.Message, _ *dhcpv6.OptIANA) { m.Options.Del(dhcpv6.OptionServerID) },
	"huge server": func(m *dhcpv6.Message, _ *dhcpv6.OptIANA) {
		m.UpdateOption(generic(dhcpv6.OptionServerID, "\x00\x09"+string(make([]byte, 200))))
	},
	"a solicit":     func(m *dhcpv6.Message, _ *dhcpv6.OptIANA) { m.MessageType = dhcpv6.MessageTypeSolicit },
	"a reconfigure": func(m *dhcpv6.Message, _ *dhcpv6.OptIANA) { m.MessageType = dhcpv6.MessageTypeReconfigure },
	"T1 after T2":   func(_ *dhcpv6.Message, ia *dhcpv6.OptIANA) { ia.T1, ia.T2 = 9*time.Second, 5*time.Second },
}

func generic(code dhcpv6.OptionCode, data string) *dhcpv6.OptionGeneric {
	return &dhcpv6.OptionGeneric{OptionCode: code, OptionData: []byte(data)}
}

func TestUnbelievable6(t *testing.T) {
	for name, change := range unbelievable6 {
		m := answer6(dhcpv6.MessageTypeReply, 0, 0, one6, change)
		if r, err := parse6(m.ToBytes(), me, time.Now()); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestReply6(t *testing.T) {
	const inf = 1<<32 - 1
	start := time.Unix(1000, 0)
	for name, test := range map[string]struct {
		m     *dhcpv6.Message
		addrs []string
		times [3]int // Renew, Rebind, Expires, in seconds after the request; 0: never
		says  iana.StatusCode
	}{
		"as told":            {answer6(dhcpv6.MessageTypeReply, 7, 9, one6), []string{"fd77::5"}, [3]int{7, 9, 100}, 0},
		"by default":         {answer6(dhcpv6.MessageTypeReply, 0, 0, one6), []string{"fd77::5"}, [3]int{30, 48, 100}, 0},
		"T1 beyond the end":  {answer6(dhcpv6.MessageTypeReply, 700, 900, one6), []string{"fd77::5"}, [3]int{100, 100, 100}, 0},
		"never to be asked":  {answer6(dhcpv6.MessageTypeReply, inf, inf, one6), []string{"fd77::5"}, [3]int{100, 100, 100}, 0},
		"for ever":           {answer6(dhcpv6.MessageTypeReply, 0, 0, []iaaddr{{"fd77::5", inf, inf}}), []string{"fd77::5"}, [3]int{}, 0},
		"deprecated":         {answer6(dhcpv6.MessageTypeReply, 0, 0, []iaaddr{{"fd77::5", 0, 100}}), []string{"fd77::5"}, [3]int{50, 80, 100}, 0},
		"two":                {answer6(dhcpv6.MessageTypeReply, 0, 0, []iaaddr{{"fd77::5", 60, 100}, {"2001:db8::1", 20, 300}}), []string{"fd77::5", "2001:db8::1"}, [3]int{10, 16, 300}, 0},
		"two, one short":     {answer6(dhcpv6.MessageTypeReply, 0, 0, []iaaddr{{"fd77::5", 30, 40}, {"2001:db8::1", 3600, 7200}}), []string{"fd77::5", "2001:db8::1"}, [3]int{15, 24, 7200}, 0},
		"twice the same":     {answer6(dhcpv6.MessageTypeReply, 0, 0, append(one6, one6...)), []string{"fd77::5"}, [3]int{30, 48, 100}, 0},
		"taken back":         {answer6(dhcpv6.MessageTypeReply, 0, 0, []iaaddr{{"fd77::5", 0, 0}}), nil, [3]int{}, 0},
		"preferred too long": {answer6(dhcpv6.MessageTypeReply, 0, 0, []iaaddr{{"fd77::5", 101, 100}}), nil, [3]int{}, 0},
		"link-local":         {answer6(dhcpv6.MessageTypeReply, 0, 0, []iaaddr{{"fe80::5", 60, 100}}), nil, [3]int{}, 0},
		"multicast":          {answer6(dhcpv6.MessageTypeReply, 0, 0, []iaaddr{{"ff02::1", 60, 100}}), nil, [3]int{}, 0},
		"loopback":           {answer6(dhcpv6.MessageTypeReply, 0, 0, []iaaddr{{"::1", 60, 100}}), nil, [3]int{}, 0},
		"unspecified":        {answer6(dhcpv6.MessageTypeReply, 0, 0, []iaaddr{{"::", 60, 100}}), nil, [3]int{}, 0},
		"mapped":             {answer6(dhcpv6.MessageTypeReply, 0, 0, []iaaddr{{"::ffff:10.0.0.1", 60, 100}}), nil, [3]int{}, 0},
		"another interface": {answer6(dhcpv6.MessageTypeReply, 0, 0, one6, func(_ *dhcpv6.Message, ia *dhcpv6.OptIANA) { ia.IaId[0] = 9 }),
			nil, [3]int{}, 0},
		"none left": {answer6(dhcpv6.MessageTypeReply, 0, 0, one6, func(_ *dhcpv6.Message, ia *dhcpv6.OptIANA) {
			ia.Options.Add(&dhcpv6.OptStatusCode{StatusCode: iana.StatusNoAddrsAvail, StatusMessage: "full"})
		}), nil, [3]int{}, iana.StatusNoAddrsAvail},
		"one refused": {answer6(dhcpv6.MessageTypeReply, 0, 0, one6, func(_ *dhcpv6.Message, ia *dhcpv6.OptIANA) {
			ia.Options.OneAddress().Options.Add(&dhcpv6.OptStatusCode{StatusCode: iana.StatusNotOnLink})
		}), nil, [3]int{}, 0},
		"failed as a whole": {answer6(dhcpv6.MessageTypeReply, 0, 0, one6, func(m *dhcpv6.Message, _ *dhcpv6.OptIANA) {
			m.AddOption(&dhcpv6.OptStatusCode{StatusCode: iana.StatusUnspecFail})
		}), nil, [3]int{}, iana.StatusUnspecFail},
	} {
		r, err := parse6(test.m.ToBytes(), me, start)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.status != test.says || (r.lease == nil) != (test.addrs == nil) {
			t.Errorf("%s: %+v", name, r)
		}
		if r.lease == nil {
			continue
		}
		var addrs []string
		for _, a := range r.lease.Addrs {
			addrs = append(addrs, a.Addr.String())
		}
		var times [3]int
		for i, at := range []time.Time{r.lease.Renew, r.lease.Rebind, r.lease.Expires} {
			if !at.IsZero() {
				times[i] = int(at.Sub(start).Seconds())
			}
		}
		if !slices.Equal(addrs, test.addrs) || times != test.times || string(r.lease.ServerID) != "\x00\x02server" || r.lease.IAID != 7 {
			t.Errorf("%s: %v, %v, %+v", name, addrs, times, r.lease)
		}
	}
}

func TestOptions6(t *testing.T) {
	ip := func(text string) []byte { return netip.MustParseAddr(text).AsSlice() }
	m := answer6(dhcpv6.MessageTypeReply, 0, 0, one6, func(m *dhcpv6.Message, _ *dhcpv6.OptIANA) {
		m.AddOption(dhcpv6.OptDNS(ip("fd77::1"), ip("fe80::1"), ip("ff02::1"), ip("fd77::1"), ip("fd77::5"), ip("2001:db8::53")))
		m.AddOption(dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: []string{"ln.test", "a b\nnameserver 6.6.6.6", "six.test"}}))
	})
	r, err := parse6(m.ToBytes(), me, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Addr{netip.MustParseAddr("fd77::1"), netip.MustParseAddr("2001:db8::53")}
	if !slices.Equal(r.lease.DNS, want) || !slices.Equal(r.lease.Search, []string{"ln.test", "six.test"}) {
		t.Errorf("DNS %v, search %q", r.lease.DNS, r.lease.Search)
	}
}

// TestKeeping has an answer that is about one of two addresses (RFC 8415 section
// 18.2.10.1).
func TestKeeping(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	a := func(text string, valid int) Leased {
		return Leased{Addr: netip.MustParseAddr(text), Preferred: at(valid), Valid: at(valid)}
	}
	last := new(Lease)
	last.hold([]Leased{a("fd77::5", 100), a("fd77::6", 200), a("fd77::7", -1)})
	next := new(Lease)
	next.hold([]Leased{a("fd77::9", 50)})
	next.keeping(last, []netip.Addr{netip.MustParseAddr("fd77::9"), netip.MustParseAddr("fd77::5")}, start)
	if want := []Leased{a("fd77::9", 50), a("fd77::6", 200)}; !slices.Equal(next.Addrs, want) || next.Expires != at(200) || next.Addr.String() != "fd77::9/128" {
		t.Errorf("%+v", next)
	}
}

func FuzzLease6(f *testing.F) {
	f.Add(answer6(dhcpv6.MessageTypeReply, 1, 2, one6).ToBytes())
	f.Add(answer6(dhcpv6.MessageTypeAdvertise, 0, 0, append(one6, iaaddr{"2001:db8::1", 0, 9}), func(m *dhcpv6.Message, _ *dhcpv6.OptIANA) {
		m.AddOption(generic(dhcpv6.OptionDomainSearchList, "\x01a\xc0\x00"))
		m.AddOption(generic(dhcpv6.OptionNTPServer, "\x00\x01\x00\x10"+string(make([]byte, 16))))
		m.AddOption(generic(dhcpv6.OptionSNTPServerList, string(make([]byte, 17))))
		m.AddOption(generic(dhcpv6.OptionRapidCommit, ""))
		m.AddOption(&dhcpv6.OptStatusCode{StatusCode: iana.StatusNoBinding})
	}).ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parse6(b, me, time.Unix(1000, 0))
		if err != nil {
			return
		}
		if len(r.server) < 3 || r.lease != nil && r.status != iana.StatusSuccess {
			t.Errorf("%+v", r)
		}
		if r.lease == nil {
			return
		}
		l := r.lease
		if len(l.Addrs) == 0 || l.Addr != netip.PrefixFrom(l.Addrs[0].Addr, 128) || r.granted() != nil {
			t.Errorf("%+v", l)
		}
		if !l.Expires.IsZero() && (l.Renew.IsZero() || l.Renew.After(l.Rebind) || l.Rebind.After(l.Expires)) {
			t.Errorf("times %v %v %v", l.Renew, l.Rebind, l.Expires)
		}
		for _, a := range l.Addrs {
			if !hostAddr6(a.Addr) || !a.Valid.IsZero() && (a.Preferred.IsZero() || a.Preferred.After(a.Valid)) {
				t.Errorf("address %+v", a)
			}
		}
		for _, a := range slices.Concat(l.DNS, l.NTP) {
			if !hostAddr6(a) {
				t.Errorf("host %v", a)
			}
		}
		for _, name := range l.Search {
			if !validDomain(name) {
				t.Errorf("name %q", name)
			}
		}
		// What it answered is built from what it said.
		if _, err := new(Client).message6(dhcpv6.MessageTypeRequest, me, r.server, addrs6(l.Addrs)); err != nil {
			t.Error(err)
		}
	})
}

package dhcp

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// TestOverload has a server put options into the fields file and sname.
func TestOverload(t *testing.T) {
	message := func(overload ...byte) []byte {
		b := ack(t, nil).ToBytes()
		copy(b[fileAt:], []byte{3, 4, 10, 0, 0, 254, 6, 4, 9, 9, 9, 9, optionEnd, 1, 2})
		copy(b[snameAt:], []byte{optionPad, 6, 4, 8, 8, 8, 8, 26, 2, 5, 0x78, optionEnd})
		if overload != nil {
			b = slices.Insert(b, optionsAt, append([]byte{optionOverload, byte(len(overload))}, overload...)...)
		}
		return b
	}
	read := func(b []byte) *Lease {
		t.Helper()
		m, err := dhcpv4.FromBytes(unfold(b, maxMessage))
		if err != nil {
			t.Fatal(err)
		}
		l, err := parse(m, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for name, row := range map[string]struct {
		message      []byte
		routers, dns string
		mtu          int
		folded       bool
	}{
		"none":       {message: message()},
		"value 0":    {message: message(0)},
		"two bytes":  {message: message(3, 3)},
		"file":       {message: message(1), routers: "[10.0.0.254]", dns: "[9.9.9.9]", folded: true},
		"sname":      {message: message(2), dns: "[8.8.8.8]", mtu: 1400, folded: true},
		"both":       {message: message(3), routers: "[10.0.0.254]", dns: "[9.9.9.9 8.8.8.8]", mtu: 1400, folded: true},
		"other bits": {message: message(7), routers: "[10.0.0.254]", dns: "[9.9.9.9 8.8.8.8]", mtu: 1400, folded: true},
	} {
		was := bytes.Clone(row.message)
		l := read(row.message)
		text := func(v any, n int) string {
			if n == 0 {
				return ""
			}
			return fmt.Sprint(v)
		}
		if text(l.Routers, len(l.Routers)) != row.routers || text(l.DNS, len(l.DNS)) != row.dns || l.MTU != row.mtu {
			t.Errorf("%s: %+v", name, l)
		}
		if !bytes.Equal(was, row.message) {
			t.Errorf("%s: the message was changed", name)
		}
		if out := unfold(row.message, maxMessage); row.folded == bytes.Equal(out, row.message) {
			t.Errorf("%s: % x", name, out)
		}
		if out := unfold(row.message, optionsAt); !bytes.Equal(out, row.message) {
			t.Errorf("%s: more than there is room for: % x", name, out)
		}
	}
	cut := message(1)
	copy(cut[fileAt:], bytes.Repeat([]byte{optionPad}, cookieAt-fileAt))
	cut[cookieAt-2], cut[cookieAt-1] = 3, 4
	if l := read(cut); l.Routers != nil {
		t.Errorf("an option that is cut off: %+v", l)
	}
}

// TestLongOption joins a list that is longer than one option (RFC 3396), in one field and
// in several.
func TestLongOption(t *testing.T) {
	var long []byte
	for i := range 60 {
		long = append(long, 24, 10, 7, byte(i), 10, 0, 0, 254)
	}
	b := ack(t, map[uint8][]byte{121: long}).ToBytes()
	m, err := dhcpv4.FromBytes(unfold(b, maxMessage))
	if err != nil {
		t.Fatal(err)
	}
	l, err := parse(m, nil, time.Now())
	if err != nil || len(l.Routes) != 60 {
		t.Errorf("%v, %d routes", err, len(l.Routes))
	}
	b = ack(t, map[uint8][]byte{6: {9, 9, 9, 9, 8, 8}}).ToBytes()
	copy(b[fileAt:], []byte{6, 2, 8, 8, optionEnd})
	b = slices.Insert(b, optionsAt, optionOverload, 1, 1)
	if m, err = dhcpv4.FromBytes(unfold(b, maxMessage)); err != nil {
		t.Fatal(err)
	}
	if l, err = parse(m, nil, time.Now()); err != nil || fmt.Sprint(l.DNS) != "[9.9.9.9 8.8.8.8]" {
		t.Errorf("%+v, %v", l, err)
	}
}

func FuzzOverload(f *testing.F) {
	b := ack(f, nil).ToBytes()
	f.Add(slices.Insert(b, optionsAt, optionOverload, 1, 3))
	f.Add(b[:optionsAt+1])
	f.Fuzz(func(t *testing.T, m []byte) {
		was := bytes.Clone(m)
		if out := unfold(m, maxMessage); len(out) > max(len(m), maxMessage) || !bytes.Equal(was, m) {
			t.Errorf("% x of % x", out, was)
		}
	})
}

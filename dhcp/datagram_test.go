package dhcp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
)

// back is a server's datagram to the client.
func back(data []byte) []byte {
	b := datagram(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.5"), data)
	binary.BigEndian.PutUint16(b[ipHeader:], serverPort)
	binary.BigEndian.PutUint16(b[ipHeader+2:], clientPort)
	return b
}

// TestDatagram knows the headers of an odd number of bytes from RFC 791 and 768:
// the sums over what a checksum covers, and the checksum, are all ones.
func TestDatagram(t *testing.T) {
	b := datagram(netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("10.0.0.1"), []byte("lease"))
	if b[0] != 0x45 || int(binary.BigEndian.Uint16(b[2:])) != len(b) || b[9] != 17 ||
		!slices.Equal(b[20:26], []byte{0, 68, 0, 67, 0, 13}) || string(b[28:]) != "lease" {
		t.Errorf("% x", b)
	}
	if checksum(0, b[:ipHeader]) != 0 || checksum(17+13, b[12:]) != 0 {
		t.Errorf("checksums: % x", b)
	}
}

func TestPayload(t *testing.T) {
	from, data, ok := payload(append(back([]byte("offer")), 0, 0, 0)) // Ethernet pads what is short
	if !ok || from.String() != "10.0.0.1" || string(data) != "offer" {
		t.Errorf("%v, %q, %v", from, data, ok)
	}
	options := slices.Insert(back([]byte("offer")), ipHeader, 1, 1, 1, 0)
	options[0], options[3] = 0x46, options[3]+4
	if _, data, ok := payload(options); !ok || string(data) != "offer" {
		t.Errorf("with IP options: %q, %v", data, ok)
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"nothing":         func([]byte) []byte { return nil },
		"cut short":       func(b []byte) []byte { return b[:len(b)-1] },
		"only IP":         func(b []byte) []byte { b[3] = ipHeader; return b[:ipHeader] },
		"IPv6":            func(b []byte) []byte { b[0] = 0x65; return b },
		"short header":    func(b []byte) []byte { b[0] = 0x44; return b },
		"header too long": func(b []byte) []byte { b[0] = 0x4f; return b },
		"TCP":             func(b []byte) []byte { b[9] = 6; return b },
		"first fragment":  func(b []byte) []byte { b[6] |= 0x20; return b },
		"last fragment":   func(b []byte) []byte { b[7] = 9; return b },
		"another port":    func(b []byte) []byte { b[23] = 69; return b },
		"UDP too long":    func(b []byte) []byte { b[25]++; return b },
		"UDP too short":   func(b []byte) []byte { b[25] = 7; return b },
	} {
		if _, data, ok := payload(spoil(back([]byte("offer")))); ok {
			t.Errorf("%s: %q", name, data)
		}
	}
}

func FuzzPayload(f *testing.F) {
	f.Add(back([]byte("offer")))
	f.Add([]byte{0x4f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if from, data, ok := payload(b); ok && (!from.Is4() || len(data) > len(b)-ipHeader-udpHeader || !bytes.Contains(b, data)) {
			t.Errorf("%v, % x", from, data)
		}
	})
}

package link

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
)

// A Pinner is a Backend by a pair whose end on the host is pipework's, where what the guest
// sends can be looked at before anybody gets it. PinnedTags are the VLANs whose tags
// its frames may bear; the error says why the guest cannot be pinned after all.
type Pinner interface {
	PinnedTags() (tags []int, err error)
}

// A Filterer is a Pinner that does not have the kernel's packet classifier on the host's end
// look at what the guest sends. Its Plug makes the pair by [PlugVethDown] where p.Pin is not
// nil, and sets the host's end up once its own filter is there.
type Filterer interface {
	Pinner
	// Filter reads what decides on the frames that come in by the host's end p.HostName.
	Filter(ctx context.Context, p *Port) (Filter, error)
}

// A Filter decides what passes by the host's end of a pair.
type Filter interface {
	// On says whether anything does not pass.
	On() bool
	// Is says whether just that passes which the Pin says.
	Is(p Pin) bool
	// Set has that pass which the Pin says, in one step; nil: everything.
	Set(ctx context.Context, p *Pin) error
	// Restore has that pass which did when the Filter was read.
	Restore(ctx context.Context) error
}

// A Pin is what may leave a guest that is not trusted: frames with this source MAC, of
// these addresses. Of ARP (RFC 826), IPv4 and IPv6 only; no router advertisements and
// redirects (RFC 4861), and no answers of DHCP servers (RFC 2131, RFC 8415).
type Pin struct {
	MAC net.HardwareAddr // of 6 bytes
	// Addrs are the addresses of the Spec, and Leased those that DHCP servers granted. The
	// link-local address that is made of the MAC (RFC 4291, appendix A) is one beside them.
	Addrs, Leased []netip.Addr
	// SLAAC lets addresses of any prefix pass whose interface identifier is made of the MAC.
	SLAAC bool
	// DHCP lets ARP probes (RFC 5227) for any address pass: the client looks whether
	// somebody has the one that it was offered.
	DHCP bool
	Tags []int // of VLANs; frames with another tag do not pass
	// Open says that frames pass which the guest has sent by an ifb device of its own: the
	// kernel's classifiers do not see them, and nothing else here can tell them apart.
	Open bool
}

// Own are all the addresses, in their order.
func (p Pin) Own() []netip.Addr {
	list := slices.Concat(p.Addrs, p.Leased, []netip.Addr{linkLocal(p.MAC)})
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// linkLocal is the address fe80::/64 with the interface identifier of the MAC.
func linkLocal(mac net.HardwareAddr) netip.Addr {
	id := Identifier(mac)
	a := [16]byte{0: 0xfe, 1: 0x80}
	copy(a[8:], id[:])
	return netip.AddrFrom16(a)
}

// Identifier is the interface identifier that is made of the MAC: its modified EUI-64 (RFC 4291,
// appendix A).
func Identifier(mac net.HardwareAddr) [8]byte {
	return [8]byte{mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]}
}

// MaxLeased is how many addresses Leased may have: the mark has no room for more.
const MaxLeased = 4

// note is what the mark on the host's end tells of the Pin that no Spec does: the MAC, and
// the leased addresses in base64, which are short enough for [MaxLeased] of IPv6. The guest
// cannot write there.
func (p Pin) note() string {
	words := []string{hex.EncodeToString(p.MAC)}
	if p.Open {
		words = append(words, openWord)
	}
	for _, a := range p.Leased {
		words = append(words, base64.RawURLEncoding.EncodeToString(a.AsSlice()))
	}
	return strings.Join(words, "+")
}

// openWord is in the note of a Pin that is Open. As base64 it has too few bytes for an address.
const openWord = "open"

// pinned is the mark, as it is kept, with this note of a Pin; an error where it has no room.
func (m Mark) pinned(note string) (string, error) {
	m.Pin = note
	text := m.String()
	if kept, _ := ParseMark(text); kept.Pin != note {
		return "", errs.New(errors.ErrUnsupported, "pin: the mark of %s has no room for its addresses: ask for fewer trunks, or for shorter names", m.Link)
	}
	return text, nil
}

// Noted is the Pin with the MAC and the leased addresses that a mark tells; false: it
// tells of none.
func (p Pin) Noted(m Mark) (Pin, bool) {
	words := strings.Split(m.Pin, "+")
	mac, err := hex.DecodeString(words[0])
	if err != nil || len(mac) != 6 {
		return p, false
	}
	p.MAC, p.Leased, p.Open = mac, nil, slices.Contains(words, openWord)
	for _, word := range words[1:] {
		b, _ := base64.RawURLEncoding.DecodeString(word)
		if a, ok := netip.AddrFromSlice(b); ok {
			p.Leased = append(p.Leased, a)
		}
	}
	return p, true
}

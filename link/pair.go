package link

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A Veth plugs a guest into the host itself, or into another guest, by a veth pair that
// is in no bridge: what the guest sends arrives at the other end. Needs CAP_NET_ADMIN in
// the network namespaces of both ends.
//
// The host routes between guests, and out, only as far as it forwards
// (net.ipv4.ip_forward), and so does another guest; that is left as it is.
type Veth struct {
	// HostName names the host's end; "" stands for v<interface>pl<pid>, or a hashed
	// name where that exceeds 15 characters.
	HostName string `json:"host_name,omitempty"`
	// HostAddrs are the addresses of the host's end, such as the guest's gateway. They
	// go with the pair. The host's end has no IPv6 address but these, and none of them
	// is checked for being a duplicate.
	HostAddrs []netip.Prefix `json:"host_addrs,omitempty"`
	// Peer is another guest, which has the other end in place of the host. It has to run.
	// Whichever of the two ends first takes the pair along; where something keeps the network
	// namespace that it had, and it runs in another one, Attach recreates the pair. HostName
	// and HostAddrs are empty then.
	Peer ns.Ref `json:"peer,omitzero"`
	// PeerName is the name of the interface in Peer.
	PeerName string `json:"peer_name,omitempty"`
	// PeerAddrs are the addresses of the interface in Peer. They are as those of
	// HostAddrs are.
	PeerAddrs []netip.Prefix `json:"peer_addrs,omitempty"`
}

var (
	_ BatchUnplugger = Veth{}
	_ Validator      = Veth{}
	_ WithHostName   = Veth{}
	_ OnInterface    = Veth{}
	_ Pinner         = Veth{}
)

// PinnedTags are none. Of a pair with another guest both ends are in guests.
func (v Veth) PinnedTags() ([]int, error) {
	if v.toGuest() {
		return nil, errors.New("a pair of two guests has no end on the host")
	}
	return nil, nil
}

// WithHostName is the pair with this name for the host's end.
func (v Veth) WithHostName(name string) Backend {
	v.HostName = name
	return v
}

// HostInterface is the host's end; "" where it has no name, or is in another guest.
func (v Veth) HostInterface() string { return v.HostName }

// String is "veth:" and the name of the host's end, or "veth" where none is chosen. Of
// a pair to another guest it is "veth:db/eth5".
func (v Veth) String() string {
	switch {
	case v.toGuest():
		return "veth:" + v.Peer.String() + "/" + v.PeerName
	case v.HostName == "":
		return "veth"
	}
	return "veth:" + v.HostName
}

// toGuest says whether the other end is in another guest.
func (v Veth) toGuest() bool { return v.Peer != ns.Ref{} || v.PeerName != "" }

// parsePeer reads "db/eth5"; not ok where it names no guest. An interface's name has no
// slash.
func parsePeer(text string) (v Veth, ok bool) {
	i := strings.LastIndexByte(text, '/')
	if i < 0 {
		return Veth{}, false
	}
	return Veth{Peer: ns.ParseRef(text[:i]), PeerName: text[i+1:]}, true
}

// Validate says what is wrong with the names and the addresses.
func (v Veth) Validate() error {
	wrong := v.validPeer()
	if v.HostName != "" {
		wrong = append(wrong, ValidName(v.HostName))
	}
	return errs.Join(append(wrong, validEnd("the host's end", v.HostAddrs), validEnd("the peer's end", v.PeerAddrs))...)
}

// peerMax is how long the text of a Ref may be in a mark, which has other things to tell.
const peerMax = 100

func (v Veth) validPeer() (wrong []error) {
	if !v.toGuest() {
		if len(v.PeerAddrs) > 0 {
			wrong = append(wrong, errors.New("peer_addrs are addresses of an interface of another guest: name it by peer and peer_name"))
		}
		return wrong
	}
	if v.HostName != "" || len(v.HostAddrs) > 0 {
		wrong = append(wrong, fmt.Errorf("the pair leads to %s: it has no end on the host that could have a name or addresses", v.Peer))
	}
	switch ref := v.Peer.String(); {
	case v.Peer.Name == "":
		wrong = append(wrong, errors.New("the pair's other guest has no name: name it by peer, such as docker:db"))
	case !utf8.ValidString(ref) || strings.ContainsFunc(ref, func(r rune) bool { return !strconv.IsPrint(r) }):
		wrong = append(wrong, fmt.Errorf("the pair's other guest %q holds control characters or broken UTF-8", ref))
	case len(url.PathEscape(ref)) > peerMax:
		wrong = append(wrong, fmt.Errorf("the pair's other guest has a name of more than %d bytes: name it by its ID", peerMax))
	}
	if err := ValidName(v.PeerName); err != nil {
		wrong = append(wrong, fmt.Errorf("the interface in %s: %w", v.Peer, err))
	}
	return wrong
}

func validEnd(which string, addrs []netip.Prefix) error {
	var wrong []error
	for _, p := range addrs {
		if a := p.Addr(); !p.IsValid() || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() {
			wrong = append(wrong, fmt.Errorf("%s is no address for %s: write one with its prefix length, such as 10.0.0.1/24", p, which))
		}
	}
	return errs.Join(wrong...)
}

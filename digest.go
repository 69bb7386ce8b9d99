package pipework

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/link"
)

// digestVersion begins the digests of this canonical form.
const digestVersion = "2."

// digest tells one Spec from another on the mark of a link: the version of the
// canonical form, and 64 bits of its SHA-256 in hexadecimal digits.
func (s Spec) digest() (string, error) {
	text, err := s.canonical()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return digestVersion + hex.EncodeToString(sum[:8]), nil
}

// canonical is the form of a Spec that is the same for two Specs that ask for the
// same interface, version 2: its JSON
//   - with the name filled in,
//   - addrs and gateways sorted by address, since their order means nothing,
//   - without default_mac and allow_host, which decide nothing about an interface that
//     is there, and without those settings of the link that a link.Setter leaves out.
//
// A field without a value is left out, so that a new field changes no digest.
func (s Spec) canonical() ([]byte, error) {
	s = s.normal()
	s.DefaultMAC, s.AllowHost = nil, false
	s.Addrs = slices.SortedFunc(slices.Values(s.Addrs), netip.Prefix.Compare)
	s.Gateways = slices.SortedFunc(slices.Values(s.Gateways), netip.Addr.Compare)
	if b, ok := s.Link.(link.Setter); ok {
		s.Link = b.Settings()
	}
	return json.Marshal(s)
}

// outdated says whether a digest on a mark is of an earlier version's canonical form,
// so that it cannot be compared.
func outdated(digest string) bool { return !strings.HasPrefix(digest, digestVersion) }

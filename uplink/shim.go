package uplink

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"

	"github.com/go-pipework/pipework/internal/told"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// A Shim says which addresses of its own the host is to have on a macvlan interface on a NIC. By
// that interface the host and guests reach each other that are plugged into the NIC by
// link.Macvlan in mode bridge: by the NIC itself they do not. A route leads to each such guest
// that the Store has a record of, and whose address is in a subnet of the NIC's, or of Addrs: but
// not to an address that the host has, or has a router at. The other hosts of the network stay
// where they are, by the NIC. From the network the addresses are reached by the NIC's MAC.
//
// All of it needs CAP_NET_ADMIN and CAP_SYS_ADMIN in the host's network namespace, and
// CONFIG_MACVLAN; elsewhere than on Linux every call answers errors.ErrUnsupported.
type Shim struct {
	// NIC is the host's interface that the guests are on, such as eth0, or eth0.100.
	NIC string
	// Addrs are those to add, or to remove. A shim that there is keeps its others.
	Addrs []netip.Prefix
	// Store is where they are recorded, and where guests are; it must not be nil, and be opened
	// for link.Kinds.
	Store *keep.Store
	// Host is the namespace that the NIC is in; nil is that of the calling thread.
	Host *ns.Handle
}

// A Shimmed is what a call did.
type Shimmed struct {
	NIC       string         `json:"nic"`
	Interface string         `json:"interface"` // of the shim
	Addrs     []netip.Prefix `json:"addrs"`     // that it is to have now
	Guests    []netip.Addr   `json:"guests"`    // that routes lead to
	Warnings  []string       `json:"warnings,omitempty"`
}

// String is s on one line.
func (s *Shimmed) String() string {
	if len(s.Addrs) == 0 {
		return fmt.Sprintf("%s has no shim any more", s.NIC)
	}
	guests := "no guest yet"
	if len(s.Guests) > 0 {
		guests = told.List("", s.Guests)
	}
	return fmt.Sprintf("%s on %s has %s, and reaches %s", s.Interface, s.NIC, told.List("", s.Addrs), guests)
}

// Add gives the shim the addresses, and makes it where there is none. What is there already is
// left, or put right. After an error everything is as before. A NIC that is not there satisfies
// fs.ErrNotExist; one that takes no macvlan, or an address that no host can have, fs.ErrInvalid; an
// interface of the shim's name that is somebody else's, an address that the host has elsewhere, and
// a NIC whose addresses a shim has taken over, fs.ErrExist; what this kernel cannot do errors.ErrUnsupported.
func (s Shim) Add(ctx context.Context) (*Shimmed, error) { return s.add(ctx) }

// Remove takes the addresses from the shim; without Addrs all. With the last one the interface
// goes, and its routes. One that it was not given, or a NIC without a shim, is fs.ErrNotExist. A
// NIC that is gone is no error.
func (s Shim) Remove(ctx context.Context) (*Shimmed, error) { return s.remove(ctx) }

// Follow brings the shims of the store up to date: each that is recorded is made where it is not
// there, and has its addresses, and routes to the guests that are recorded by now. It is for
// keep.Plugger.Follow; package watch calls it by itself. A NIC that is not there, and a shim of
// another network namespace, is passed over. A store that is nil has no shims.
func Follow(ctx context.Context, store *keep.Store, host *ns.Handle) error {
	if store == nil {
		return nil
	}
	return follow(ctx, store, host)
}

// nameMax is the longest name of an interface (IFNAMSIZ, without the NUL).
const nameMax = 15

// ShimName is the name of the shim of a NIC: shim-eth0; where that has more than 15 characters,
// "shim-" and ten hex digits of its hash.
func ShimName(nic string) string {
	name := "shim-" + nic
	if len(name) <= nameMax {
		return name
	}
	sum := sha256.Sum256([]byte(nic))
	return fmt.Sprintf("shim-%x", sum[:5])
}

func (s Shim) note() keep.Note { return keep.Note{Kind: "shim", Of: s.NIC} }

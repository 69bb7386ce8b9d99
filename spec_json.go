package pipework

import (
	"encoding/json"
	"fmt"
	"net"

	"github.com/go-pipework/pipework/internal/wire"
	"github.com/go-pipework/pipework/link"
)

type plainSpec Spec

// specJSON is a Spec in JSON: MACs are text, and the link says its kind.
type specJSON struct {
	Link json.RawMessage `json:"link,omitempty"`
	plainSpec
	MAC        MAC `json:"mac,omitempty"`
	DefaultMAC MAC `json:"default_mac,omitempty"`
}

// MarshalJSON writes the Spec as [DecodeSpec] reads it:
//
//	{"link": {"bridge": {"name": "br1", "vlan": 100}}, "addrs": ["10.0.0.2/24"], "gateways": ["10.0.0.1"]}
//
// MACs, addresses and durations are text. Add, Beneath, Last, Saved and Force are left out: they are of one
// call, not of what is plugged in.
func (s Spec) MarshalJSON() ([]byte, error) {
	w := specJSON{plainSpec: plainSpec(s), MAC: MAC(s.MAC), DefaultMAC: MAC(s.DefaultMAC)}
	if s.Link = link.ByValue(s.Link); s.Link != nil {
		backend, err := link.MarshalBackend(s.Link)
		if err != nil {
			return nil, err
		}
		w.Link = backend
	}
	return json.Marshal(w)
}

// UnmarshalJSON is [DecodeSpec] with the kinds of package link.
func (s *Spec) UnmarshalJSON(b []byte) (err error) {
	*s, err = DecodeSpec(b, link.Kinds()...)
	return err
}

// DecodeSpec reads a Spec from JSON. Its link is of one of the kinds, which the caller
// lists, such as append(link.Kinds(), ovs.Kind). A field that there is not is an error
// that names it. The Spec is not validated: [Attach] does that.
func DecodeSpec(b []byte, kinds ...link.Kind) (Spec, error) {
	var w specJSON
	if err := wire.Unmarshal(b, &w); err != nil {
		return Spec{}, fmt.Errorf("spec: %w", err)
	}
	s := Spec(w.plainSpec)
	s.MAC, s.DefaultMAC = net.HardwareAddr(w.MAC), net.HardwareAddr(w.DefaultMAC)
	if w.Link == nil || string(w.Link) == "null" {
		return s, nil
	}
	var err error
	if s.Link, err = link.UnmarshalBackend(w.Link, kinds); err != nil {
		return Spec{}, fmt.Errorf("spec: %w", err)
	}
	return s, nil
}

package dhcp

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-pipework/pipework/internal/wire"
)

type plainConfig Config

// configJSON is a Config in JSON: durations and bytes are text.
type configJSON struct {
	plainConfig
	ClientID wire.Bytes    `json:"client_id,omitempty"`
	DUID     wire.Bytes    `json:"duid,omitempty"`
	Params   []int         `json:"parameters,omitempty"`
	Probe    wire.Duration `json:"probe,omitzero"`
	Timeout  wire.Duration `json:"timeout,omitzero"`
}

// MarshalJSON writes durations as text ("250ms") and identifiers as hexadecimal
// bytes ("ff:00:01").
func (c Config) MarshalJSON() ([]byte, error) {
	w := configJSON{plainConfig(c), c.ClientID, c.DUID, nil, wire.Duration(c.Probe), wire.Duration(c.Timeout)}
	for _, p := range c.Parameters {
		w.Params = append(w.Params, int(p))
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON writes; fields that a Config does not have are
// errors.
func (c *Config) UnmarshalJSON(b []byte) error {
	var w configJSON
	if err := wire.Unmarshal(b, &w); err != nil {
		return err
	}
	*c = Config(w.plainConfig)
	c.ClientID, c.DUID, c.Parameters = w.ClientID, w.DUID, nil
	c.Probe, c.Timeout = time.Duration(w.Probe), time.Duration(w.Timeout)
	for _, p := range w.Params {
		if p < 0 || p > 255 {
			return fmt.Errorf("parameters: option %d is out of range: 0 to 255", p)
		}
		c.Parameters = append(c.Parameters, uint8(p))
	}
	return nil
}

// MarshalText writes "ipv4", "ipv6" or "both".
func (f Family) MarshalText() ([]byte, error) {
	if f == IPv4 {
		return []byte("ipv4"), nil
	}
	return []byte(f), nil
}

// UnmarshalText reads what MarshalText writes; "" is IPv4, too.
func (f *Family) UnmarshalText(text []byte) error {
	if *f = Family(text); *f == "ipv4" {
		*f = IPv4
	}
	return nil
}

package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/ns"
)

// A vocabulary is the words that a key of a policy can be about. A pattern that none of them
// matches is a slip: its rule would be about nothing.
type vocabulary struct {
	what  string // that a word is, for people
	words []string
}

var (
	linkWords = vocabulary{"kind of link", []string{"bridge", "dummy", "ipoib", "ipvlan", "macvlan", "ovs", "phys", "veth", "vlan"}}

	// optionWords are the keys of a Spec, and of the links of these kinds, that are not
	// unlimited.
	optionWords = vocabulary{"option", []string{
		"allow_default_route", "allow_host", "datapath", "dhcp", "egress", "external_ids", "firewall", "gateways", "hairpin",
		"host_addrs", "host_name", "ingress", "mode", "mtu", "other_config", "peer", "peer_addrs", "peer_name", "pkey", "routes",
		"rules", "slaac", "vlan_mode",
	}}

	// kindWords are the engines whose containers declare what they want.
	kindWords = vocabulary{"kind of guest that asks for anything", []string{string(ns.Docker), string(ns.Podman)}}
)

// known refuses a pattern that is about none of the words.
func (v vocabulary) known(pattern string) error {
	if slices.ContainsFunc(v.words, (patterns{pattern}).match) {
		return nil
	}
	return fmt.Errorf("is no %s: there are %s", v.what, strings.Join(v.words, ", "))
}

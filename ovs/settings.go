package ovs

import "slices"

// What a Bridge does not ask for is an administrator's to set on a port of pipework's, as
// trunks and other_config are. So that an update can tell what the last Bridge asked for,
// the port's external_ids say it.

// configPrefix begins the names of settings that are keys of other_config.
const configPrefix = "other_config:"

// settings are the names of those that the Bridge asks for: columns, and keys of
// other_config.
func (b Bridge) settings() (names []string) {
	if b.Tag != 0 || len(b.Trunks) > 0 || b.VLANMode != "" {
		names = append(names, "tag", "vlan_mode")
	}
	if len(b.Trunks) > 0 {
		names = append(names, "trunks")
	}
	for key := range b.OtherConfig {
		names = append(names, configPrefix+key)
	}
	slices.Sort(names)
	return names
}

package ovs

import (
	"net/url"
	"slices"
	"strings"
)

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
	if b.Isolated {
		names = append(names, "protected")
	}
	for key := range b.OtherConfig {
		names = append(names, configPrefix+key)
	}
	slices.Sort(names)
	return names
}

// formatSettings writes names of settings as external_ids keep them; lastSettings reads
// them. Versions that did not write them are not known.
func formatSettings(names []string) string {
	escaped := make([]string, len(names))
	for i, name := range names {
		escaped[i] = url.QueryEscape(name)
	}
	return strings.Join(escaped, " ")
}

func lastSettings(ids map[string]string) (names []string, known bool) {
	text, known := ids[keySettings]
	for word := range strings.FieldsSeq(text) {
		if name, err := url.QueryUnescape(word); err == nil {
			names = append(names, name)
		}
	}
	return names, known
}

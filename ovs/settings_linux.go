package ovs

import (
	"maps"
	"slices"

	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
)

// What a Bridge does not ask for is an administrator's to set on a port of pipework's, as
// trunks and other_config are. So that an update can tell what the last Bridge asked for,
// the port's external_ids say it.

// vlanColumns say together which VLANs a port carries.
var vlanColumns = []string{"tag", "trunks", "vlan_mode"}

// compared are the settings of a port that is as have which are the Bridge's to say: those
// that it asks for, and where p.Exact those that the last one asked for, all where that is
// not known.
func (b Bridge) compared(p *link.Port, have ovsdb.Columns) []string {
	names := b.settings()
	if !p.Exact {
		return names
	}
	last, known := lastSettings(have["external_ids"].(map[string]string))
	if known {
		return append(names, last...)
	}
	names = append(append(names, vlanColumns...), "protected")
	for key := range have["other_config"].(map[string]string) {
		names = append(names, configPrefix+key)
	}
	return names
}

// wantedColumns are what the columns of a port that is as have are to be.
func (b Bridge) wantedColumns(p *link.Port, have ovsdb.Columns) ovsdb.Columns {
	asked, want := b.portColumns(), maps.Clone(have)
	names := b.compared(p, have)
	if slices.Contains(names, "protected") {
		want["protected"] = b.Isolated
	}
	for _, column := range vlanColumns {
		if slices.Contains(names, column) && !(column == "vlan_mode" && implied(b, have[column].([]string))) {
			want[column] = asked[column]
		}
	}
	config := maps.Clone(have["other_config"].(map[string]string))
	maps.DeleteFunc(config, func(key, _ string) bool { return slices.Contains(names, configPrefix+key) })
	maps.Copy(config, b.OtherConfig)
	want["other_config"] = config
	want["external_ids"] = b.wantedIDs(p, have["external_ids"].(map[string]string))
	return want
}

// implied says whether the mode is what its absence stands for.
func implied(b Bridge, mode []string) bool {
	implied := Trunk
	if b.Tag != 0 {
		implied = Access
	}
	return b.VLANMode == "" && slices.Equal(mode, []string{string(implied)})
}

// wantedIDs are external_ids that are as have, with the Bridge's own. Those of the guest
// stay: it may be known by another name now.
func (b Bridge) wantedIDs(p *link.Port, have map[string]string) map[string]string {
	ids := maps.Clone(have)
	maps.Copy(ids, b.placeIDs(p))
	if was, known := have[keySettings]; !p.Exact && known {
		ids[keySettings] = was
	} else if !p.Exact {
		delete(ids, keySettings) // an earlier version's
	}
	return ids
}

package doctor

import (
	"context"
	"strings"

	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/uplink"
)

// uplinks compares the host's NICs that are under bridges with their records, and says what
// virtual switches must allow for guests with MACs of their own.
func (m Machine) uplinks(ctx context.Context) (found []Finding) {
	for _, note := range uplink.VirtualNICs() {
		found = append(found, Finding{"nic", Note, note, "for guests on a bridge with it, or on a macvlan"})
	}
	s, err := keep.OpenExisting(m.State)
	if err != nil {
		return found // as records says
	}
	defer func() { _ = s.Close() }()
	all, err := uplink.List(ctx, uplink.Plan{Store: s, OVS: m.OVS})
	if err != nil {
		found = append(found, Finding{"uplink", Note, err.Error(), ""})
	}
	for _, u := range all {
		f := Finding{"uplink", OK, strings.TrimPrefix(u.String(), "uplink "), ""}
		if !u.OK() {
			f.Level, f.Mend = Problem, "pipework check --mend"
		}
		found = append(found, f)
	}
	return found
}

package ovs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
)

// portDrifts compares the port's rows with what join would make.
func (b Bridge) portDrifts(ctx context.Context, s *Client, p *link.Port, br *bridge) ([]link.Drift, error) {
	got, err := s.transact(ctx, "read port", []ovsdb.Op{
		ovsdb.Select("Port", ovsdb.Has("name", p.HostName), "_uuid", "tag", "trunks", "vlan_mode", "protected", "external_ids", "other_config"),
		ovsdb.Select("Interface", ovsdb.Has("name", p.HostName), "error", "ofport"),
	})
	if err != nil {
		return nil, err
	}
	if len(got[0]) == 0 || br.missing {
		return b.rejoin(p, fmt.Sprintf("host end %s is not a port of %s", p.HostName, b.Name)), nil
	}
	row := got[0][0]
	if row.Texts("external_ids")[keyMade] != madePort {
		return nil, nameTaken(p)
	}
	members, err := s.transact(ctx, "read bridge", []ovsdb.Op{
		ovsdb.Select("Bridge", ovsdb.Includes("ports", row.Row("_uuid")), "name"),
	})
	if err != nil {
		return nil, err
	}
	if members[0].First().Text("name") != br.name {
		return b.rejoin(p, fmt.Sprintf("host end %s is not a port of %s", p.HostName, b.Name)), nil
	}
	if err := portError(p, got[1]); err != nil {
		return b.rejoin(p, err.Error()), nil
	}
	return b.settingDrifts(p, row), nil
}

// rejoin is a drift that is mended by recreating the port; what is left of it
// is in the way of the name, and goes.
func (b Bridge) rejoin(p *link.Port, what string) []link.Drift {
	return []link.Drift{{What: what, Mend: func(ctx context.Context, u *link.Undo) error {
		s, end := b.Client.session()
		defer end()
		return b.join(ctx, s, p, u)
	}}}
}

// settingDrifts compares the columns that the Bridge's settings fill.
func (b Bridge) settingDrifts(p *link.Port, row ovsdb.Record) []link.Drift {
	have := ovsdb.Columns{
		"tag": row.Numbers("tag"), "trunks": row.Numbers("trunks"), "vlan_mode": row.Strings("vlan_mode"),
		"protected":    row.Bool("protected"),
		"other_config": row.Texts("other_config"), "external_ids": row.Texts("external_ids"),
	}
	want := b.wantedColumns(p, have)
	var drifts []link.Drift
	for _, name := range slices.Sorted(maps.Keys(want)) {
		is, should := show(have[name]), show(want[name])
		if is == should {
			continue
		}
		what, chosen := fmt.Sprintf("%s of port %s is %s instead of %s", name, p.HostName, is, should), true
		if is, ok := have[name].(map[string]string); ok {
			keys := different(is, want[name].(map[string]string))
			what = fmt.Sprintf("%s of port %s differ in %s", name, p.HostName, strings.Join(keys, ", "))
			chosen = !slices.Equal(keys, []string{keySettings}) // which tells of the others
		}
		drifts = append(drifts, link.Drift{Chosen: chosen, What: what, Mend: func(ctx context.Context, u *link.Undo) error {
			return b.set(ctx, u, p.HostName, change{row.Row("_uuid"), name, have[name], want[name]})
		}})
	}
	return drifts
}

// A change is one of a column of a port.
type change struct {
	port    ovsdb.UUID
	column  string
	was, is any
}

func (c change) to(value any) []ovsdb.Op {
	next := ovsdb.Reconfigure()
	return append([]ovsdb.Op{ovsdb.Update("Port", c.port, ovsdb.Columns{c.column: value})}, next[:]...)
}

// set makes a change to the port of this name.
func (b Bridge) set(ctx context.Context, u *link.Undo, name string, c change) (err error) {
	s, end := b.Client.session()
	defer end()
	u.Push(c.column+" of port "+name, func(ctx context.Context) error {
		return b.takeBack(ctx, []error{err}, [][]ovsdb.Op{c.to(c.was)})
	})
	_, err = s.transact(ctx, "change port", c.to(c.is))
	return err
}

// show prints a value for people, the same for equal values.
func show(value any) string {
	switch v := value.(type) {
	case []int:
		v = slices.Sorted(slices.Values(v))
		return strings.Trim(fmt.Sprint(v), "[]") + none(len(v))
	case []string:
		return strings.Join(v, " ") + none(len(v))
	case map[string]string:
		return fmt.Sprint(v) // sorted by key
	}
	return fmt.Sprint(value)
}

// different are the keys that do not have the same value in both.
func different(a, b map[string]string) (keys []string) {
	both := map[string]string{}
	maps.Copy(both, a)
	maps.Copy(both, b)
	for _, key := range slices.Sorted(maps.Keys(both)) {
		if v, in := a[key]; v != b[key] || !in {
			keys = append(keys, key)
		}
	}
	return keys
}

func none(elements int) string {
	if elements == 0 {
		return "none"
	}
	return ""
}

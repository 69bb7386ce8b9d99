package ovs

import (
	"context"
	"io/fs"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ovsdb"
)

// findFake reads the fake bridge of this name; nil: there is none.
func (s *Client) findFake(ctx context.Context, name string) (*bridge, error) {
	got, err := s.transact(ctx, "find fake bridge", []ovsdb.Op{chooseFake(name, "_uuid", "tag")})
	if err != nil || len(got[0]) == 0 {
		return nil, err
	}
	port := got[0][0]
	tag := port.Numbers("tag")
	if len(tag) != 1 || tag[0] < 1 || tag[0] > 4094 {
		return nil, errs.New(fs.ErrInvalid, "fake bridge %s has VLAN %s: pipework plugs into 1 to 4094", name, show(tag))
	}
	got, err = s.transact(ctx, "find parent bridge", []ovsdb.Op{
		ovsdb.Select("Bridge", ovsdb.Includes("ports", port.Row("_uuid")), append([]string{"name"}, bridgeColumns...)...),
	})
	if err != nil || len(got[0]) == 0 {
		return nil, err
	}
	row := got[0][0]
	return &bridge{name: row.Text("name"), datapath: orSystem(row.Text("datapath_type")), tree: hasTree(row), fake: port.Row("_uuid"), vlan: tag[0]}, nil
}

// fits is the Bridge with the VLAN of the fake bridge that it names.
func (b Bridge) fits(br *bridge) (Bridge, error) {
	if br.vlan == 0 {
		return b, nil
	}
	if b.Tag != 0 && b.Tag != br.vlan || len(b.Trunks) > 0 || b.VLANMode != "" && b.VLANMode != Access {
		return b, errs.New(fs.ErrInvalid, "%s is VLAN %d of bridge %s, and its ports are access ports of that: leave other VLANs away, or plug into %s", b.Name, br.vlan, br.name, br.name)
	}
	b.Tag = br.vlan
	return b, nil
}

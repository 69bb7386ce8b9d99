package ovs

import (
	"context"
	"slices"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// formerUplinks are the ports of NICs that package uplink made before the machine started again:
// the database has outlived that, and the move of the addresses has not.
func (c *Client) formerUplinks(ctx context.Context) (ovsdb.Result, error) {
	boot := ns.BootID()
	if boot == "" {
		return nil, nil
	}
	got, err := c.transact(ctx, "list uplinks", []ovsdb.Op{
		ovsdb.Select("Port", ovsdb.Includes("external_ids", map[string]string{ovsdb.MadeKey: ovsdb.MadeUplink}), "_uuid", "name", "external_ids"),
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(got[0], func(port ovsdb.Record) bool { return port.Texts("external_ids")[ovsdb.BootKey] == boot }), nil
}

func formerUplink(port ovsdb.Record) link.Collected {
	return link.Collected{Done: "removed", Kind: "OVS port", Name: port.Text("name"), Why: "the machine has started again since it became an uplink"}
}

// collectUplinks takes them out of their bridges, which have what they had before, and go where
// pipework made them and nobody uses them.
func (c *Client) collectUplinks(ctx context.Context, host link.Host) (all []link.Collected, err error) {
	ports, err := c.formerUplinks(ctx)
	if err != nil || len(ports) == 0 {
		return nil, err
	}
	late, done := finish.Context(ctx) // what has begun is finished
	defer done()
	var failed []error
	for _, port := range ports { // what is stuck does not keep the rest
		if err := c.collectUplink(late, host, port); err != nil {
			failed = append(failed, err)
			continue
		}
		all = append(all, formerUplink(port))
	}
	return all, errs.Join(failed...)
}

// collectUplink takes one of them out of its bridge.
func (c *Client) collectUplink(ctx context.Context, host link.Host, port ovsdb.Record) error {
	id := port.Row("_uuid")
	got, err := c.transact(ctx, "find bridge", []ovsdb.Op{ovsdb.Select("Bridge", ovsdb.Includes("ports", id), "name", "external_ids")})
	if err != nil {
		return err
	}
	bridge := got[0].First()
	name, ours := bridge.Text("name"), bridge.Texts("external_ids")[keyMade] == madeBridge
	ops := []ovsdb.Op{removePort(id)}
	if !ours {
		ops = append(ops, ovsdb.AdoptedOf(port.Texts("external_ids")).Ask(name)...)
	}
	next := ovsdb.Reconfigure()
	if _, err := c.transact(ctx, "remove uplink", append(ops, next[:]...)); err != nil || !ours {
		return err
	}
	return (Bridge{Name: name}).release(ctx, c, host)
}

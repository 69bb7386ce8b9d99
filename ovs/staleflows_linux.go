package ovs

import (
	"context"
	"slices"
	"time"

	libovsdb "github.com/ovn-org/libovsdb/ovsdb"

	"github.com/go-pipework/pipework/internal/openflow"
	"github.com/go-pipework/pipework/internal/ovsdb"
)

// sweepTime bounds how long ovs-vswitchd is waited for.
const sweepTime = 2 * time.Second

// sweep deletes the flows of pipework's whose port is gone, which somebody else removed. It looks
// twice, as Collect does, and deletes what was there both times, by the number of the port that
// is gone: a new port of the same name has another one.
func (c *Client) sweep(ctx context.Context) error {
	if _, err := c.management(""); err != nil {
		return nil // there are no flows
	}
	first, err := c.staleFlows(ctx)
	if err != nil || len(first) == 0 {
		return err
	}
	if err := c.pauseBetween(ctx); err != nil {
		return err
	}
	second, err := c.staleFlows(ctx)
	if err != nil {
		return err
	}
	for bridge, flows := range second {
		before := keys(first[bridge])
		var mods []openflow.Mod
		for _, f := range flows {
			if in, has := f.Match.InPort(); has && slices.Contains(before, f.Key()) {
				mods = append(mods, openflow.Delete(f.Cookie, oneCookie, in))
			}
		}
		if err := c.deleteFlows(ctx, bridge, mods); err != nil {
			return err
		}
	}
	return nil
}

// staleFlows are the flows of ours in each bridge whose port's row does not tell of them. The
// flows are read first: those of a port that is there now were told of before.
func (c *Client) staleFlows(ctx context.Context) (map[string][]openflow.Flow, error) {
	got, err := c.transact(ctx, "list bridges", []ovsdb.Op{ovsdb.Select("Bridge", []libovsdb.Condition{libovsdb.NewCondition("name", libovsdb.ConditionNotEqual, "")}, "name")})
	if err != nil {
		return nil, err
	}
	late, cancel := context.WithTimeoutCause(ctx, sweepTime, errNoAnswer)
	defer cancel()
	all := make(map[string][]openflow.Flow)
	for _, bridge := range got[0] {
		name := bridge.Text("name")
		flows, err := c.flows(late, name, ourCookies, ourCookiesMask)
		if err != nil {
			return nil, err
		}
		if len(flows) > 0 {
			all[name] = flows
		}
	}
	for name, flows := range all {
		told, err := c.transact(ctx, "list ports", []ovsdb.Op{
			ovsdb.Select("Port", ovsdb.Includes("external_ids", map[string]string{keyMade: madePort, keyPin: name}), "name"),
			ovsdb.Select("Open_vSwitch", theRow(), "_uuid"),
		})
		if err != nil {
			return nil, err
		}
		used := make(map[uint64]bool)
		for _, port := range told[0] {
			used[keyOf(told[1]).cookie(port.Text("name"))] = true
		}
		all[name] = slices.DeleteFunc(flows, func(f openflow.Flow) bool { return used[f.Cookie] })
		if len(all[name]) == 0 {
			delete(all, name)
		}
	}
	return all, nil
}

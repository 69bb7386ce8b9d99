package ovs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Collect removes the ports that bear pipework's mark and whose guest is gone,
// and the bridges that pipework made and that nothing uses any more. It looks
// twice, a second apart, and removes what was an orphan both times. A guest is
// gone when the host has no device of the port's name any more and the process
// or the name that the guest was found by does not lead to its namespace. Ports
// of others, and ports whose guest lives although their device is missing, stay. With
// them go the flows of a pin, also of ports that others removed. NICs of the host that package uplink
// put under bridges before the machine started again are taken out: their addresses are not the
// bridges' any more.
// It returns the ports that it removed; none where no server listens.
//
// h is the namespace that the bridges are in. PIDs are those of the PID namespace
// that the ports were made in: call Collect in the same. A nil Client is the
// standard socket.
func (c *Client) Collect(ctx context.Context, h link.Host) ([]link.Collected, error) {
	s, end := c.session()
	defer end()
	all, err := s.collectPorts(ctx, h)
	if err != nil {
		return all, unlessAbsent(err)
	}
	nics, err := s.collectUplinks(ctx, h)
	all = append(all, nics...)
	if err != nil {
		return all, unlessAbsent(err)
	}
	if err := s.sweep(ctx); unlessAbsent(err) != nil && h.Warn != nil {
		h.Warn(fmt.Sprintf("flows of ports that are gone may be left in Open vSwitch: %v", err))
	}
	return all, nil
}

func (c *Client) collectPorts(ctx context.Context, h link.Host) ([]link.Collected, error) {
	ports, err := c.lookTwice(ctx, h)
	if err != nil || len(ports) == 0 {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	late, done := finish.Context(ctx) // what has begun is finished
	defer done()
	return c.collect(late, h, ports)
}

// unlessAbsent is err, or nil where it says that no server listens.
func unlessAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	return err
}

// Orphans returns the ports that [Client.Collect] would remove, and removes nothing.
func (c *Client) Orphans(ctx context.Context, h link.Host) (all []link.Collected, err error) {
	s, end := c.session()
	defer end()
	ports, err := s.lookTwice(ctx, h)
	for _, port := range ports {
		all = append(all, collected(port))
	}
	if err != nil {
		return all, unlessAbsent(err)
	}
	nics, err := s.formerUplinks(ctx)
	for _, port := range nics {
		all = append(all, formerUplink(port))
	}
	return all, unlessAbsent(err)
}

// collected is what is said of a port.
func collected(port ovsdb.Record) link.Collected {
	return link.Collected{Done: "removed", Kind: "OVS port", Name: port.Text("name"), Why: "its guest has ended"}
}

// lookTwice finds what is an orphan now and some time later.
func (c *Client) lookTwice(ctx context.Context, h link.Host) (ovsdb.Result, error) {
	first, err := c.orphans(ctx, h)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	if err := c.pauseBetween(ctx); err != nil {
		return nil, err
	}
	second, err := c.orphans(ctx, h)
	return both(first, second), err
}

// pauseBetween is the time between two looks.
func (c *Client) pauseBetween(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(cmp.Or(c.apart, time.Second)):
		return nil
	}
}

// both are the rows of b that are in a, too. A port that was recreated
// meanwhile is another row.
func both(a, b ovsdb.Result) ovsdb.Result {
	seen := make(map[ovsdb.UUID]bool, len(a))
	for _, row := range a {
		seen[row.Row("_uuid")] = true
	}
	var list ovsdb.Result
	for _, row := range b {
		if seen[row.Row("_uuid")] {
			list = append(list, row)
		}
	}
	return list
}

// collect removes these ports, then the bridges that they leave unused.
func (c *Client) collect(ctx context.Context, host link.Host, ports ovsdb.Result) ([]link.Collected, error) {
	if err := c.removePorts(ctx, ports); err != nil {
		return nil, err
	}
	var all []link.Collected
	bridges := make(map[string]bool)
	for _, port := range ports {
		all = append(all, collected(port))
		bridges[port.Texts("external_ids")[keyBridge]] = true
	}
	for name := range bridges {
		if err := (Bridge{Name: name}).release(ctx, c, host); err != nil {
			return all, err
		}
	}
	return all, nil
}

// readTogether is how many ports are read by one transaction, with all that is known
// of their guests: some 600 bytes each.
const readTogether = 1000

// orphans reads the ports that bear the mark and whose guest is gone. Which there are
// fits into one answer; the guests are read only of those that have no device.
func (c *Client) orphans(ctx context.Context, host link.Host) (ovsdb.Result, error) {
	got, err := c.transact(ctx, "list ports", []ovsdb.Op{
		ovsdb.Select("Port", ovsdb.Includes("external_ids", map[string]string{keyMade: madePort}), "_uuid", "name"),
	})
	if err != nil {
		return nil, err
	}
	ports, err := deviceless(ctx, host, got[0])
	if err != nil {
		return nil, err
	}
	var list ovsdb.Result
	for some := range slices.Chunk(ports, readTogether) {
		var ops []ovsdb.Op
		for _, port := range some {
			ops = append(ops, ovsdb.Select("Port", ovsdb.IsRow(port.Row("_uuid")), "_uuid", "name", "external_ids"))
		}
		got, err := c.transact(ctx, "read ports", ops)
		if err != nil {
			return nil, err
		}
		list = append(list, dead(slices.Concat(got...))...)
	}
	return list, nil
}

// orphans are the ports whose guest is gone.
func orphans(ctx context.Context, host link.Host, ports ovsdb.Result) (ovsdb.Result, error) {
	list, err := deviceless(ctx, host, ports)
	return dead(list), err
}

// deviceless are the ports of whose name the host has no device.
func deviceless(ctx context.Context, host link.Host, ports ovsdb.Result) (list ovsdb.Result, err error) {
	for _, port := range ports {
		_, err := rtnl.LinkByName(ctx, host.Conn, port.Text("name"))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			list = append(list, port)
		case err != nil:
			return nil, err
		}
	}
	return list, nil
}

// dead are the ports whose external_ids name a guest that does not live.
func dead(ports ovsdb.Result) ovsdb.Result {
	return slices.DeleteFunc(ports, func(port ovsdb.Record) bool { return lives(port.Texts("external_ids")) })
}

// lives says whether the guest with these external_ids is there. In doubt it is.
func lives(ids map[string]string) bool {
	var path string
	guest := ns.ParseRef(ids[keyContainerName])
	switch pid, err := strconv.Atoi(ids[keyNSPID]); {
	case err == nil && pid > 0:
		path = fmt.Sprintf("/proc/%d/ns/net", pid)
	case guest.Kind == ns.Netns:
		path = "/run/netns/" + guest.Name
	case guest.Kind == ns.File:
		path = guest.Name
	default:
		return true
	}
	now, err := inode(path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	was, known := ids[keyNetNS]
	return !known || netnsID(now) == was
}

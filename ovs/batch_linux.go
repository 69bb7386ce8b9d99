package ovs

import (
	"context"
	"slices"

	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
)

// PlugAll makes the pairs, and then all ports of one Client by one transaction, so
// that ovs-vswitchd reads its configuration once; see [link.BatchPlugger].
func (b Bridge) PlugAll(ctx context.Context, calls []*link.Call) {
	for _, some := range byClient(calls) {
		plugAll(ctx, some)
	}
}

func plugAll(ctx context.Context, calls []*link.Call) {
	s, end := calls[0].Backend.(Bridge).Client.session()
	defer end()
	var all []*joining
	var whose []*link.Call
	back := calls[0].Backend.(Bridge).Client.leaver()
	for _, c := range calls {
		b := c.Backend.(Bridge)
		if c.Err = b.plugVeth(ctx, s, c.Port, c.Undo); c.Err != nil {
			continue
		}
		j := newJoining(b, c.Port)
		c.Undo.Push("port "+c.Port.HostName, func(ctx context.Context) error { return back.leave(ctx, j) })
		all, whose = append(all, j), append(whose, c)
	}
	joinAll(ctx, s, all)
	for i, c := range whose {
		c.Err = all[i].err
	}
}

// UnplugAll removes the pairs together, and all ports of one Client by one
// transaction; see [link.BatchUnplugger].
func (b Bridge) UnplugAll(ctx context.Context, calls []*link.Call) {
	for _, some := range byClient(calls) {
		unplugAll(ctx, some)
	}
}

func unplugAll(ctx context.Context, calls []*link.Call) {
	s, end := calls[0].Backend.(Bridge).Client.session()
	defer end()
	ports, err := portsOf(ctx, s, calls)
	if err == nil {
		err = removeAll(ctx, s, calls, ports)
	}
	released := make(map[string]error)
	for _, c := range calls {
		b := c.Backend.(Bridge)
		if c.Err == nil {
			c.Err = err
		}
		if c.Err != nil {
			continue
		}
		if _, done := released[b.Name]; !done {
			released[b.Name] = b.release(ctx, s, c.Port.Host)
		}
		c.Err = released[b.Name]
	}
}

// portsOf are the rows of the ports that the calls mean.
func portsOf(ctx context.Context, s *Client, calls []*link.Call) ([]ovsdb.Result, error) {
	var ops []ovsdb.Op
	for _, c := range calls {
		ids := c.Backend.(Bridge).wanted(c.Port)
		ops = append(ops, ovsdb.Select("Port", ovsdb.Includes("external_ids", ids), "_uuid", "name", "external_ids"))
	}
	got, err := s.transact(ctx, "find port", ops)
	for i, c := range calls {
		switch {
		case err != nil || c.Port.Guest != nil:
		case len(guestIDs(c.Port.Mark.Guest)) == 0:
			got[i], err = orphans(ctx, c.Port.Host, got[i])
		default: // another guest that lives may be called as the dead one was
			got[i] = slices.DeleteFunc(got[i], func(port ovsdb.Record) bool { return lives(port.Texts("external_ids")) })
		}
	}
	return got, err
}

// removeAll removes the pairs, and the rows of those whose pair is gone.
func removeAll(ctx context.Context, s *Client, calls []*link.Call, ports []ovsdb.Result) error {
	link.UnplugVeths(ctx, calls)
	var gone ovsdb.Result
	for i, c := range calls {
		for _, port := range ports[i] {
			if c.Err == nil {
				c.Err = delVeth(ctx, c.Port, port.Text("name"))
			}
		}
		if c.Err == nil {
			gone = append(gone, ports[i]...)
		}
	}
	return s.removePorts(ctx, gone)
}

// byClient puts the calls that speak to the same server together.
func byClient(calls []*link.Call) map[*Client][]*link.Call {
	all := make(map[*Client][]*link.Call)
	for _, c := range calls {
		client := c.Backend.(Bridge).Client
		all[client] = append(all[client], c)
	}
	return all
}

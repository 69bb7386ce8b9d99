package ovs

import (
	"context"
	"strings"

	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
)

// bridgeColumns are those of a bridge that its ports have to fit in with.
var bridgeColumns = []string{"datapath_type", "stp_enable", "rstp_enable"}

// hasTree says whether a bridge has a spanning tree of Open vSwitch's own, of which the
// kernel knows nothing.
func hasTree(row ovsdb.Record) bool { return row.Bool("stp_enable") || row.Bool("rstp_enable") }

// setForwarding has the port tell whether it forwards, where a spanning tree may keep it
// from that.
//
//nolint:revive // as the row says
func (b Bridge) setForwarding(p *link.Port, tree bool) {
	p.Forwarding = nil
	if tree {
		p.Forwarding = func(ctx context.Context) (string, error) { return blocked(ctx, b, p.HostName) }
	}
}

// blocked says why the port does not forward, as ovs-vswitchd tells: at once when it begins
// to listen, and of every change within five seconds.
func blocked(ctx context.Context, b Bridge, port string) (why string, err error) {
	s, end := b.Client.session()
	defer end()
	got, err := s.transact(ctx, "read state of port", []ovsdb.Op{
		ovsdb.Select("Port", ovsdb.Has("name", port), "status", "rstp_status", "other_config"),
	})
	if err != nil || len(got[0]) == 0 { // removed by others
		return "", err
	}
	return treeState(port, got[0][0]), nil
}

// treeState says why the port of this row does not forward; ovs-vswitchd.conf.db(5),
// "stp_state" and "rstp_port_state". One that takes no part in the spanning tree forwards.
// Disabled is one that had no carrier when ovs-vswitchd last told.
func treeState(port string, row ovsdb.Record) string {
	config := row.Texts("other_config")
	state := row.Texts("status")["stp_state"]
	if state == "" {
		state = row.Texts("rstp_status")["rstp_port_state"]
	}
	leftOut := state == "" && (config["stp-enable"] == "false" || config["rstp-enable"] == "false")
	if leftOut || strings.EqualFold(state, "forwarding") {
		return ""
	}
	return "the Open vSwitch port " + port + " is not forwarding yet (spanning tree)"
}

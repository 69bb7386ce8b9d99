package parts

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// TestMarkedLease6 writes leases into marks that have more or less room, and reads
// them back.
func TestMarkedLease6(t *testing.T) {
	c := &dhcp.Client{Name: "eth1", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	lease := func(server, client string, id uint32, addrs ...string) *dhcp.Lease {
		l := &dhcp.Lease{ServerID: []byte(server), ClientID: []byte(client), IAID: id}
		for _, a := range addrs {
			l.Addrs = append(l.Addrs, dhcp.Leased{Addr: netip.MustParseAddr(a)})
		}
		l.Addr = host6(l.Addrs[0].Addr)
		return l
	}
	own, id := string(dhcp.DUID(c.MAC)), dhcp.IAID(c.Name)
	known := func(l *dhcp.Lease, client string, id uint32) *dhcp.Lease { // what is read back
		l.ClientID, l.IAID = []byte(client), id
		if client == "" {
			l.ClientID = nil
		}
		if string(l.ServerID) == "" {
			l.ServerID = nil
		}
		return l
	}
	long := strings.Repeat("x", 130)
	for name, test := range map[string]struct{ lease, want *dhcp.Lease }{
		"usual":         {lease("server", own, id, "fd77::5"), known(lease("server", "", 0, "fd77::5"), "", 0)},
		"two addresses": {lease("server", own, id, "fd77::5", "fd78::5"), known(lease("server", "", 0, "fd77::5", "fd78::5"), "", 0)},
		"own IAID":      {lease("server", own, 7, "fd77::5"), known(lease("server", "", 0, "fd77::5"), "", 7)},
		"own DUID":      {lease("server", "me!", id, "fd77::5"), known(lease("server", "", 0, "fd77::5"), "me!", id)},
		"long server":   {lease(long, "me!", 7, "fd77::5"), known(lease("", "", 0, "fd77::5"), "me!", 7)},
		"many addresses": {lease("server", own, id, "fd77:1111:2222:3333:4444:5555:6666:7771", "fd77:1111:2222:3333:4444:5555:6666:7772", "fd77:1111:2222:3333:4444:5555:6666:7773",
			"fd77:1111:2222:3333:4444:5555:6666:7774", "fd77:1111:2222:3333:4444:5555:6666:7775"), known(lease("", "", 0, "fd77:1111:2222:3333:4444:5555:6666:7771"), "", 0)},
		"long client": {lease("server", long, 7, "fd77::5"), known(lease("", "", 0, "fd77::5"), "", 0)},
	} {
		m := link.Mark{Link: "bridge:br1", Interface: "eth1", Spec: "0123456789abcdef", Lease: "10.0.0.5/24,10.0.0.1",
			Guest: ns.Identity{PID: 123456, ID: "0123456789ab", Name: strings.Repeat("web", 50)}}
		m.Lease6 = lease6Text(m, test.lease, c)
		read, ok := link.ParseMark(m.String())
		if !ok || read.Guest.ID != m.Guest.ID {
			t.Errorf("%s: the mark is %q", name, m)
		}
		m = read
		have := []rtnl.Addr{{Prefix: host6(netip.MustParseAddr("fd77::5")), Preferred: rtnl.Forever, Valid: rtnl.Forever}}
		if diff := cmp.Diff(test.want, readLease6(m, have), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Errorf("%s, from %q (-want +got):\n%s", name, m.Lease6, diff)
		}
	}
	for _, forged := range []string{"", "_", "10.0.0.1", "fd77::5%eth0", "fd77::5+x", "+", "fd77::5+"} {
		var m link.Mark
		m.Lease6 = forged
		if l := readLease6(m, nil); l != nil {
			t.Errorf("%q: %+v", forged, l)
		}
	}
	if text := lease6Text(link.Mark{}, nil, c); text != "" {
		t.Errorf("no lease: %q", text)
	}
}

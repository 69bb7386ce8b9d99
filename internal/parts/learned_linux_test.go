package parts

import (
	"encoding/binary"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// TestLearning has links of all sorts, of which the kernel learns default routes on some.
func TestLearning(t *testing.T) {
	conf := func(forwarding, accept, defrtr uint32) []byte {
		list := make([]byte, 4*20)
		for place, v := range map[int]uint32{0: forwarding, 3: accept, 17: defrtr} {
			binary.NativeEndian.PutUint32(list[4*place:], v)
		}
		inet6 := nl.NewRtAttr(unix.AF_INET6, nil)
		inet6.AddRtAttr(2, list) // IFLA_INET6_CONF
		return inet6.Serialize()
	}
	follows := conf(0, 1, 1)
	for name, row := range map[string]struct {
		link rtnl.Link
		want bool
	}{
		"follows":                       {rtnl.Link{Families: follows}, true},
		"forwards":                      {rtnl.Link{Families: conf(1, 1, 1)}, false},
		"follows, and forwards":         {rtnl.Link{Families: conf(1, 2, 1)}, true},
		"does not follow":               {rtnl.Link{Families: conf(0, 0, 1)}, false},
		"learns none":                   {rtnl.Link{Families: conf(0, 1, 0)}, false},
		"has no IPv6":                   {rtnl.Link{}, false},
		"lo":                            {rtnl.Link{Families: follows, Type: unix.ARPHRD_LOOPBACK}, false},
		"in a VRF":                      {rtnl.Link{Families: follows, Master: 2}, false},
		"a bridge's":                    {rtnl.Link{Families: follows, Master: 3}, true},
		"a master in another namespace": {rtnl.Link{Families: follows, Master: 9}, true},
	} {
		row.link.Index = 1
		links := []*rtnl.Link{&row.link, {Index: 2, Kind: "vrf"}, {Index: 3, Kind: "bridge"}}
		if got := len(learningLinks(links)) > 0; got != row.want {
			t.Errorf("%s: learns %v", name, got)
		}
	}
}

package pipework

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/told"
)

// String is a in one line for people: "web: eth1 on bridge:br1 (host end web0), MAC
// 02:b1:18:29:4e:5a, 192.168.1.1/24". Names that a guest chose are in it as they are.
func (a *Attachment) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s on %s", a.Guest.Name, a.Name, a.Link)
	if a.HostName != "" {
		fmt.Fprintf(&b, " (host end %s)", a.HostName)
	}
	fmt.Fprintf(&b, ", MAC %s%s%s", a.MAC, told.List(", ", a.Addrs), told.List(", default via ", a.Gateways))
	b.WriteString(told.List(", instead of ", a.Displaced))
	for _, l := range []*dhcp.Lease{a.Lease, a.Lease6} {
		switch {
		case l == nil:
		case l.Expires.IsZero():
			fmt.Fprintf(&b, ", %s leased for ever", l.Addr.Addr())
		default:
			fmt.Fprintf(&b, ", %s leased until %s unless somebody keeps it", l.Addr.Addr(), l.Expires.Format(time.DateTime))
		}
	}
	if a.Existed {
		b.WriteString(", was there already" + told.List(", mended: ", a.Mended) + told.List(", added: ", a.Added))
	}
	if of := a.Guest.NetworkOf; of != "" {
		b.WriteString(", in the network of " + of)
	}
	return b.String()
}

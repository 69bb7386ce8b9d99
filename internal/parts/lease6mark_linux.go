package parts

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// lease6Text is what the mark says of a DHCPv6 lease, to give it back: the
// addresses, and in hexadecimal the server's DUID, and the client's and the IAID
// where MAC and name do not tell them. Fields that have no room are left out: a
// server can be asked who it is, and what it is not told of ends by itself.
func lease6Text(m link.Mark, l *dhcp.Lease, c *dhcp.Client) string {
	if l == nil {
		return ""
	}
	addrs := l.Addr.Addr().String()
	for _, a := range l.Addrs {
		if a.Addr != l.Addr.Addr() {
			addrs += "+" + a.Addr.String()
		}
	}
	client := ""
	if own := dhcp.DUID(c.MAC); string(own) != string(l.ClientID) {
		client = hex.EncodeToString(l.ClientID)
	}
	tail := ""
	if id := l.IAID; client != "" || id != dhcp.IAID(c.Name) {
		tail = "_" + client + "_" + strconv.FormatUint(uint64(id), 16)
	}
	m.Guest.Name = ""
	for _, text := range []string{
		addrs + "_" + hex.EncodeToString(l.ServerID) + tail, addrs + "_" + tail,
		l.Addr.Addr().String() + "_" + tail, l.Addr.Addr().String(),
	} {
		if m.Lease6 = strings.TrimRight(text, "_"); len(m.String()) < maxMark {
			return m.Lease6
		}
	}
	return ""
}

// maxMark is the most that a mark holds; one of this length may be cut.
const maxMark = 255

// readLease6 is what the mark and the kernel tell of the interface's DHCPv6 lease;
// nil when it has none.
func readLease6(m link.Mark, have []rtnl.Addr) *dhcp.Lease {
	fields := append(strings.Split(m.Lease6, "_"), "", "", "")
	l := &dhcp.Lease{}
	for text := range strings.SplitSeq(fields[0], "+") {
		a, err := netip.ParseAddr(text)
		if err != nil || !a.Is6() || a.Zone() != "" {
			return nil
		}
		leased := dhcp.Leased{Addr: a}
		if i := slices.IndexFunc(have, func(h rtnl.Addr) bool { return h.Prefix == host6(a) }); i >= 0 {
			leased.Preferred, leased.Valid = in(have[i].Preferred), in(have[i].Valid)
		}
		l.Addrs = append(l.Addrs, leased)
		if leased.Valid.After(l.Expires) {
			l.Expires = leased.Valid
		}
	}
	l.Addr = host6(l.Addrs[0].Addr)
	l.ServerID, l.ClientID = unhex(fields[1]), unhex(fields[2])
	id, _ := strconv.ParseUint(fields[3], 16, 32)
	l.IAID = uint32(id)
	return l
}

// in is the time in so many seconds; zero for never.
func in(seconds uint32) time.Time {
	if seconds == rtnl.Forever {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(seconds) * time.Second).Truncate(time.Second)
}

// unhex is nil where a guest's root has written nonsense.
func unhex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil
	}
	return b
}

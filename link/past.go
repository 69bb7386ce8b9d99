package link

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// A past is what an interface of the host was before it moved into a guest. It
// is kept in the mark.
type past struct {
	Name  string
	MAC   net.HardwareAddr
	MTU   int
	Up    bool
	Alias string
	Addrs []netip.Prefix
}

// String has no characters that the mark would have to escape, as long as the
// alias has none: eth0~020000000001~1500~up~~10.0.0.2-24.
func (p past) String() string {
	state := "down"
	if p.Up {
		state = "up"
	}
	words := []string{p.Name, strings.ReplaceAll(p.MAC.String(), ":", ""), strconv.Itoa(p.MTU), state, strings.ReplaceAll(p.Alias, "~", "")}
	for _, a := range p.Addrs {
		words = append(words, strings.ReplaceAll(a.String(), "/", "-"))
	}
	return strings.Join(words, "~")
}

// parsePast reads what String wrote.
func parsePast(s string) (past, error) {
	words := strings.Split(s, "~")
	if len(words) < 5 || ValidName(words[0]) != nil {
		return past{}, errors.New("its mark does not tell what it was before")
	}
	p := past{Name: words[0], Up: words[3] == "up", Alias: words[4]}
	p.MAC, _ = parseHex(words[1])
	p.MTU, _ = strconv.Atoi(words[2])
	for _, w := range words[5:] {
		if a, err := netip.ParsePrefix(strings.ReplaceAll(w, "-", "/")); err == nil {
			p.Addrs = append(p.Addrs, a)
		}
	}
	return p, nil
}

// parseHex reads a MAC without separators.
func parseHex(s string) (net.HardwareAddr, error) {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && i%2 == 0 {
			b.WriteByte(':')
		}
		b.WriteRune(r)
	}
	return net.ParseMAC(b.String())
}

package keep

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/config"
)

// merge is the older line with what a newer one for the same interface added. Where
// both cannot be said on one line, it is the newer one.
func merge(old, new []string) []string {
	was, err1 := read(old)
	now, err2 := read(new)
	if errors.Join(err1, err2) != nil {
		return new
	}
	was.add(now)
	both := was.words()
	if _, err := read(both); err != nil {
		return new
	}
	return both
}

// A declaredLine is a Line and its Flags.
type declaredLine struct {
	config.Line
	flags config.Flags
}

func read(words []string) (d declaredLine, err error) {
	if d.flags, words, err = config.Split(words); err == nil {
		d.Line, err = config.Parse(words)
	}
	if err == nil {
		_, err = d.DHCPConfig()
	}
	return d, err
}

func (d declaredLine) words() []string { return append(d.flags.Args(), d.Args()...) }

func (d *declaredLine) add(now declaredLine) {
	if d.Family != now.Family {
		d.anyFamily()
		now.anyFamily()
	}
	for _, a := range now.Addrs {
		if !slices.Contains(d.Addrs, a) {
			d.Addrs = append(d.Addrs, a)
		}
	}
	for _, g := range now.Gateways { // each takes the place of its family's
		d.Gateways = append(slices.DeleteFunc(d.Gateways, func(was netip.Addr) bool { return was.Is4() == g.Is4() }), g)
	}
	d.DHCP = mergeDHCP(d.DHCP, now.DHCP)
	d.SLAAC = d.SLAAC || now.SLAAC
	d.flags.Forward = cmp.Or(now.flags.Forward, d.flags.Forward)
	d.flags.ResolvConf = cmp.Or(now.flags.ResolvConf, d.flags.ResolvConf)
	if asked, err := d.DHCPConfig(); err == nil && asked.Program != "" {
		d.flags.ResolvConf = "" // which the program knows nothing of
	}
}

// anyFamily says without -a what is said with it.
func (d *declaredLine) anyFamily() {
	if client, options := cutOptions(d.DHCP); d.Family == config.Inet6 && client == "dhcp" {
		d.DHCP = "dhcp6" + options
	}
	d.Family = 0
}

// cutOptions takes a DHCP word's options off, with the colon before them.
func cutOptions(word string) (client, options string) {
	client, _, _ = strings.Cut(word, ":")
	return client, word[len(client):]
}

// mergeDHCP is the newer of two DHCP words, with both families where pipework's own
// client gets them, and the older one's options where it has none.
func mergeDHCP(old, new string) string {
	was, options := cutOptions(old)
	now, newer := cutOptions(new)
	own := func(client string) bool {
		return slices.Contains([]string{"dhcp", "dhcp6", "dhcp,dhcp6", "dhcp6,dhcp"}, client)
	}
	switch {
	case new == "":
		return old
	case was == now:
		return now + cmp.Or(newer, options)
	case own(was) && own(now):
		return "dhcp,dhcp6" + cmp.Or(newer, options)
	}
	return new
}

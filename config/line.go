// Package config turns words into values: the command line of the classic
// pipework script into a [Line], the command's own flags into [Flags].
//
// It reads nothing but the words it is given and touches nothing: no file, no
// network, no environment. Whether br1 exists, what kind of interface it is and
// who the guest is, is decided by those who use the values. Everything here is
// safe for concurrent use.
package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// A Line is one attachment as the classic command line says it:
//
//	[--direct-phys] [--pin] [--isolated] <hostif> [-i containerif] [-l localif] [-a family] <guest> <addr>/<prefix>[@gateway] [macaddr|U:string][@vlan]
type Line struct {
	Interface  string           // host interface (br1, ovs0, eth0, ib0, dummy0) "mac:<address>", or a name after "bridge:", "macvlan:", "vlan:", "veth:" or "ovs:", of "veth:" also guest/name; as typed
	Name       string           // -i: the interface inside the guest; "" is the default of its kind
	HostName   string           // -l: the host end of the pair; "" is the default
	Family     Family           // -a: the only address family allowed; 0 allows both
	Guest      string           // who is plugged in, as typed; never empty
	Addrs      []netip.Prefix   // addresses with their host bits; nil for 0/0 and DHCP
	Gateways   []netip.Addr     // default gateways, at most one a family, IPv4 first
	DHCP       string           // the DHCP word as typed ("dhcp", "dhcp,dhcp6", "udhcpc-f", "dhcp:-f"); "" for none
	SLAAC      bool             // slaac: wait for the addresses that a router advertises
	MAC        net.HardwareAddr // six bytes; nil leaves the choice to the kernel
	Unique     string           // the string after U: that MAC was made from; "" where there was none
	VLAN       string           // the text after @ in the last word, see [Line.VLANID]; "" for none
	DirectPhys bool             // --direct-phys: move the physical interface itself into the guest
	Pin        bool             // --pin: nothing leaves the guest that is not its own
	Isolated   bool             // --isolated: other isolated guests on the bridge are not reached
}

// Parse reads args, a classic command line without the program's name. Options
// may stand anywhere and be written -i eth2 or -i=eth2; words after -- are
// positional, whatever they begin with. An empty last word counts as not given.
//
// Parse says everything that is wrong at once, on one line, separated by "; ".
// [errors.Is] tells each of its errors as [ErrUsage].
func Parse(args []string) (Line, error) { return parse(scan(args, lineOptions)) }

// lineOptions are those of a line, and whether each takes a value.
var lineOptions = map[string]bool{"-i": true, "-l": true, "-a": true, "--direct-phys": false, "--pin": false, "--isolated": false}

// parse reads words that were taken apart.
func parse(w words) (Line, error) {
	p := parser{words: w}
	if p.count(3, 4, "<hostinterface> <guest> <address>/<prefix>[@gateway] [macaddr][@vlan]") {
		p.options()
		p.hostInterface(p.positional[0])
		p.line.Guest = p.guest(p.positional[1])
		p.addresses(p.positional[2])
		if len(p.positional) == 4 {
			p.last(p.positional[3])
		}
	}
	if err := p.err(); err != nil {
		return Line{}, err
	}
	return p.line, nil
}

// A parser fills one Line and gathers what is wrong with it.
type parser struct {
	words
	line Line
}

func (p *parser) options() {
	p.line.Name = p.name("-i")
	p.line.HostName = p.name("-l")
	if family, given := p.values["-a"]; given {
		p.family(family)
	}
	_, p.line.DirectPhys = p.values["--direct-phys"]
	_, p.line.Pin = p.values["--pin"]
	_, p.line.Isolated = p.values["--isolated"]
}

// Args returns the words that [Parse] reads back into l, in the classic order.
// A Line that Parse could not have made may not be sayable, such as one with a
// gateway and no address of its family.
func (l Line) Args() []string {
	var first []string
	for word, said := range map[string]bool{"--direct-phys": l.DirectPhys, "--isolated": l.Isolated, "--pin": l.Pin} {
		if said {
			first = append(first, word)
		}
	}
	slices.Sort(first)
	last := append([]string{l.Guest, l.addressWord()}, l.lastWord()...)
	if isOption(l.Interface) || isOption(l.Guest) {
		return slices.Concat(first, l.optionWords(), []string{"--", l.Interface}, last)
	}
	return slices.Concat(first, []string{l.Interface}, l.optionWords(), last)
}

func (l Line) optionWords() []string {
	var words []string
	words = appendOption(words, "-i", l.Name)
	words = appendOption(words, "-l", l.HostName)
	if l.Family != 0 {
		words = appendOption(words, "-a", fmt.Sprint(uint8(l.Family)))
	}
	return words
}

func appendOption(words []string, option, value string) []string {
	switch {
	case value == "":
		return words
	case isOption(value):
		return append(words, option+"="+value)
	default:
		return append(words, option, value)
	}
}

// Package config turns words into values: the command line of the classic pipework
// script, and the labels that hold one, into a [Line], text in YAML or JSON into a Spec.
//
// It reads nothing but the words it is given and touches nothing: no file, no
// network, no environment. Whether br1 exists, what kind of interface it is and
// who the guest is, is decided by those who use the values. Everything here is
// safe for concurrent use.
package config

import (
	"net"
	"net/netip"
	"slices"

	"github.com/spf13/pflag"

	"github.com/go-pipework/pipework/internal/option"
	"github.com/go-pipework/pipework/link"
)

// A Line is one attachment as the classic command line says it:
//
//	[--direct-phys] <hostif> [-i containerif] [-l localif] [-a family] <guest> <addr>/<prefix>[@gateway] [macaddr|U:string][@vlan]
//
// and further options, see docs/classic.md.
type Line struct {
	Interface  string           // host interface (br1, ovs0, eth0, ib0, dummy0) "mac:<address>", or a name after its kind, such as "macvlan:", "veth:" also of guest/name; as typed
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

	MTU      int           // --mtu, in bytes; 0 takes the bridge's or parent's
	Routes   []link.Route  // --route, each
	Rules    []link.Rule   // --rule, each
	Egress   *link.Shaping // --egress: of what the guest sends
	Ingress  *link.Shaping // --ingress: of what it receives
	Trunks   []int         // --trunk: the VLANs that a bridge's port carries tagged
	Isolated bool          // --isolated: no frames to and from other such ports of the bridge
	Hairpin  bool          // --hairpin: frames may leave by the port that they came in by
	Pin      bool          // --pin: nothing leaves the guest that is not its own

	Firewall   link.Firewall // --forward and --no-forward: Docker's firewall
	ResolvConf string        // --resolv-conf: where the name servers of a lease are written; "": nowhere
}

// AddFlags adds the options that whoever declares an attachment may give, also in a
// container's label.
func (l *Line) AddFlags(fs *pflag.FlagSet) {
	option.Add(fs, "interface", "i", "name", "the interface's name inside the guest (eth1, or ib0 of InfiniBand)", Name("-i", &l.Name))
	option.Add(fs, "host-end", "l", "name", "the name of the pair's end on the host", Name("-l", &l.HostName))
	option.Add(fs, "family", "a", "family", "4, 6, inet or inet6: refuse addresses of the other family", l.family)
	option.Bool(fs, &l.DirectPhys, "direct-phys", "move the host's interface itself into the guest")
	option.List(fs, "route", "dst[@via]", "a route, such as 10.8.0.0/16@10.0.0.1; also src=A, metric=N and table=N after commas", l.route)
	option.List(fs, "rule", "priority=N,...", "a rule of routing: priority, from, to, iif, oif, fwmark and table, such as priority=50,from=10.0.0.2,table=7", l.rule)
	option.Add(fs, "egress", "", "rate=R,...", "slow down what the guest sends: rate=10mbit,delay=20ms,jitter=5ms,loss=1%", shaping("--egress", &l.Egress))
	option.Add(fs, "ingress", "", "rate=R,...", "slow down what the guest receives", shaping("--ingress", &l.Ingress))
	option.Add(fs, "trunk", "", "vlans", "the VLANs of a bridge that pass tagged, such as 10,20-30", l.trunk)
	option.Bool(fs, &l.Isolated, "isolated", "no frames to or from the bridge's other isolated ports")
	option.Bool(fs, &l.Pin, "pin", "let nothing leave the guest that has not its own MAC and addresses")
	option.Bool(fs, &l.Hairpin, "hairpin", "let the bridge send frames back by the port that they came in by")
}

// AddHostFlags adds the options of an attachment that change the host, which only
// whoever types on the host may give.
func (l *Line) AddHostFlags(fs *pflag.FlagSet) {
	firewall := func(f link.Firewall) func() error {
		return func() (err error) {
			if l.Firewall != link.FirewallOwn && l.Firewall != f {
				err = errForward
			}
			l.Firewall = f
			return err
		}
	}
	option.Switch(fs, "forward", "", "accept the bridge's frames in Docker's firewall", firewall(link.FirewallAccept))
	option.Switch(fs, "no-forward", "", "leave Docker's firewall alone", firewall(link.FirewallLeave))
	option.Add(fs, "mtu", "", "bytes", "the interface's MTU (the bridge's or the NIC's)", l.mtu)
	option.Add(fs, "resolv-conf", "", "path", "write the name servers that dhcp brings into this resolv.conf", Path("--resolv-conf", &l.ResolvConf))
}

// Parse reads args, a classic command line without the program's name. Options
// may stand anywhere and be written -i eth2 or -i=eth2; words after -- are
// positional, whatever they begin with. An empty last word counts as not given.
//
// [errors.Is] tells each of its errors as [ErrUsage]; each is one line.
func Parse(args []string) (Line, error) {
	l, words, err := takeOptions(args, (*Line).AddHostFlags)
	if err != nil {
		return Line{}, err
	}
	return l.Read(words)
}

// takeOptions takes the options out of args, and those that more adds.
func takeOptions(args []string, more func(*Line, *pflag.FlagSet)) (l Line, words []string, err error) {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.Usage = func() {}
	l.AddFlags(fs)
	if more != nil {
		more(&l, fs)
	}
	if err := fs.Parse(args); err != nil {
		return Line{}, nil, option.Wrong(fs, err)
	}
	return l, fs.Args(), nil
}

// Read is l, whose options are known ([Line.AddFlags]), with the other words of the
// line. It says everything that is wrong with them at once, on one line, separated by
// "; ". [errors.Is] tells each of its errors as [ErrUsage].
func (l Line) Read(words []string) (Line, error) {
	const syntax = "<hostinterface> <guest> <address>/<prefix>[@gateway] [macaddr][@vlan]"
	p := parser{line: l}
	if p.count(words, 3, 4, syntax) && p.ordered(words, syntax) {
		p.hostInterface(words[0])
		p.line.Guest = p.guest(words[1])
		p.addresses(words[2])
		if len(words) == 4 {
			p.last(words[3])
		}
	}
	if err := p.err(); err != nil {
		return Line{}, err
	}
	return p.line, nil
}

// A parser fills one Line and gathers what is wrong with it.
type parser struct {
	problems
	line Line
}

// count reports whether there are neither fewer words than least nor more than most, for
// which syntax is the mend.
func (p *problems) count(words []string, least, most int, syntax string) bool {
	n := len(words)
	switch {
	case n < least:
		p.addf("too few words (%d of at least %d): write pipework %s", n, least, syntax)
	case n > most:
		p.addf("too many words, the first too many is %q: write pipework %s", words[most], syntax)
	}
	return least <= n && n <= most
}

// ordered reports whether no address stands before the third word.
func (p *problems) ordered(words []string, syntax string) bool {
	i := slices.IndexFunc(words[:2], func(word string) bool {
		_, err := netip.ParsePrefix(word)
		return err == nil
	})
	if i >= 0 {
		p.addf("the address %q stands too early: write pipework %s", words[i], syntax)
	}
	return i < 0
}

// isOption reports whether word reads as an option where it stands before --.
func isOption(word string) bool { return len(word) > 1 && word[0] == '-' }

// Args returns the words that [Parse] reads back into l, in the classic order.
// A Line that Parse could not have made may not be sayable, such as one with a
// gateway and no address of its family.
func (l Line) Args() []string {
	var first []string
	if l.DirectPhys {
		first = append(first, "--direct-phys")
	}
	last := append([]string{l.Guest, l.addressWord()}, l.lastWord()...)
	if isOption(l.Interface) || isOption(l.Guest) {
		return slices.Concat(first, l.optionWords(), []string{"--", l.Interface}, last)
	}
	return slices.Concat(first, []string{l.Interface}, l.optionWords(), last)
}

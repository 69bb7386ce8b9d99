package config

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/go-pipework/pipework/dhcp"
)

// A DHCP is what the DHCP word of a command line asks for: the client of pipework,
// or a program.
type DHCP struct {
	Config     dhcp.Config
	Foreground bool          // -f: stay, and keep the lease
	Again      time.Duration // -A: the pause before asking anew when nobody answered; 0: do not
	Program    string        // udhcpc, dhclient or dhcpcd; "": none
	Options    []string      // of the program, as they are
}

// DHCPConfig reads the word l.DHCP: "dhcp", "dhcp6", or both with a comma between
// them, and after a colon udhcpc's options, as one word; or the name of a program
// and its own options. With -a 6 dhcp is dhcp6. Options of udhcpc that have no
// meaning for the client of pipework are refused by name. A line without such a
// word asks for nothing.
func (l Line) DHCPConfig() (DHCP, error) {
	client, options, _ := strings.Cut(l.DHCP, ":")
	p := dhcpParser{rest: strings.Fields(options)}
	switch client {
	case "":
		return DHCP{}, nil
	case "dhcp":
		if l.Family == Inet6 {
			p.out.Config.Family = dhcp.IPv6
		}
	case "dhcp6":
		p.out.Config.Family = dhcp.IPv6
	case "dhcp,dhcp6", "dhcp6,dhcp":
		p.out.Config.Family = dhcp.Both
	default:
		program, stays := strings.CutSuffix(client, "-f")
		return DHCP{Program: program, Foreground: stays, Options: p.rest}, nil
	}
	for len(p.rest) > 0 {
		p.option()
	}
	p.add(p.out.Config.Validate())
	if err := p.err(); err != nil {
		return DHCP{}, err
	}
	return p.out, nil
}

// A dhcpParser takes options off rest.
type dhcpParser struct {
	problems
	rest []string
	out  DHCP
}

// refused are options of udhcpc that are not taken, with the reason.
var refused = map[string]string{
	"-s": "pipework configures the interface itself and runs no script",
	"-i": "the interface is what pipework makes: name it with -i before the guest",
	"-p": "there is no process: pipework writes no pid file",
	"-b": "pipework does not go to the background: write dhcp:-f, and let a service manager run it",
	"-C": "servers tell clients apart by it: choose another with -x 0x3d:<hex>",
	"-R": "the lease is given back by pipework detach",
}

// valued are the options that take a value.
var valued = map[string]func(*dhcpParser, string){
	"-x": (*dhcpParser).send,
	"-r": (*dhcpParser).request,
	"-O": func(p *dhcpParser, v string) {
		p.out.Config.Parameters = append(p.out.Config.Parameters, p.code(v))
	},
	"-V": func(p *dhcpParser, v string) { p.out.Config.VendorClass = v },
	"-t": func(p *dhcpParser, v string) { p.out.Config.Tries = p.number("-t", v, 20) },
	"-T": func(p *dhcpParser, v string) {
		p.out.Config.Timeout = time.Duration(p.number("-T", v, 3600)) * time.Second
	},
	"-A": func(p *dhcpParser, v string) { p.out.Again = time.Duration(p.number("-A", v, 86400)) * time.Second },
}

// only4 are options that mean nothing to DHCPv6.
var only4 = map[string]string{
	"-O": "the numbers are those of DHCPv4",
	"-V": "DHCPv6 servers know vendors by enterprise numbers",
	"-B": "DHCPv6 knows no broadcast",
	"-a": "the kernel looks for others that have an IPv6 address",
}

// option takes one option, and its value, which may stick to it: -t5, -t 5.
func (p *dhcpParser) option() {
	word := p.rest[0]
	p.rest = p.rest[1:]
	if len(word) < 2 || word[0] != '-' || word[1] == '-' {
		p.addf("dhcp: %q is no option: those of udhcpc are understood, such as -x hostname:web", word)
		return
	}
	name, value := word[:2], word[2:]
	set, takes := valued[name]
	if why := only4[name]; why != "" && p.out.Config.Family == dhcp.IPv6 {
		p.addf("dhcp6: %s is not taken: %s", name, why)
	}
	switch {
	case takes && value == "" && len(p.rest) == 0:
		p.addf("dhcp: %s needs a value", name)
	case takes:
		if value == "" {
			value, p.rest = p.rest[0], p.rest[1:]
		}
		set(p, value)
	case name == "-f" && value == "":
		p.out.Foreground = true
	case name == "-a":
		p.out.Config.Probe = p.probe(value)
	case name == "-B" && value == "":
		p.out.Config.Broadcast = true
	case refused[name] != "":
		p.addf("dhcp: %s is not taken: %s", name, refused[name])
		p.skipValue(name, value)
	default:
		p.addf("dhcp: %s is not understood here", word)
	}
}

// skipValue leaves the value of a refused option out.
func (p *dhcpParser) skipValue(name, value string) {
	if strings.Contains("-s-i-p", name) && value == "" && len(p.rest) > 0 && !strings.HasPrefix(p.rest[0], "-") {
		p.rest = p.rest[1:]
	}
}

// probe reads -a: how long to look for another user of the address, in milliseconds; 2000
// without a number, as of udhcpc.
func (p *dhcpParser) probe(v string) time.Duration {
	if v == "" {
		return 2 * time.Second
	}
	return time.Duration(p.number("-a", v, 60_000)) * time.Millisecond
}

func (p *dhcpParser) number(option, text string, most int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		p.addf("dhcp: %s needs a number from 1 to %d, not %q", option, most, text)
	}
	return n
}

// request reads -r: the address to ask for.
func (p *dhcpParser) request(v string) {
	a, err := netip.ParseAddr(v)
	family := dhcp.IPv4
	if a.Is6() {
		family = dhcp.IPv6
	}
	if err != nil || !p.out.Config.Family.Wants(family) {
		p.addf("dhcp: -r needs an %s address, not %q", map[dhcp.Family]string{dhcp.IPv4: "IPv4", dhcp.IPv6: "IPv6", dhcp.Both: "IPv4 or IPv6"}[p.out.Config.Family], v)
		return
	}
	p.out.Config.Requested = a
}

// send reads -x: an option to send, by name or number.
func (p *dhcpParser) send(v string) {
	name, value, given := strings.Cut(v, ":")
	switch {
	case !given || value == "":
		p.addf("dhcp: -x needs an option and a value, such as -x hostname:web")
	case name == "hostname" || number(name) == 12:
		p.out.Config.Hostname = value
	case (name == "vendor" || number(name) == 60) && p.out.Config.Family != dhcp.IPv6:
		p.out.Config.VendorClass = value
	case number(name) == 61 && p.out.Config.Family != dhcp.IPv6:
		p.out.Config.ClientID = p.hex(name, value)
	case name == "duid" && p.out.Config.Family != dhcp.IPv4:
		p.out.Config.DUID = p.hex(name, value)
	default:
		p.addf("dhcp: -x %s is not sent: hostname, vendor and 0x3d (the client id) are, and of dhcp6 hostname and duid", name)
	}
}

func (p *dhcpParser) hex(name, value string) []byte {
	id, err := hex.DecodeString(value)
	if err != nil {
		p.addf("dhcp: -x %s needs hexadecimal digits, not %q", name, value)
	}
	return id
}

// code reads an option's number or the name that udhcpc gives it.
func (p *dhcpParser) code(text string) uint8 {
	n := number(text)
	if known, ok := optionNames[text]; ok {
		n = int(known)
	}
	if n < 1 || n > 254 {
		p.addf("dhcp: -O %s is no option: give its number", text)
		return 0
	}
	return uint8(n)
}

// number reads 12 or 0x0c; -1 for what is none.
func number(text string) int {
	n, err := strconv.ParseUint(text, 0, 8)
	if err != nil {
		return -1
	}
	return int(n)
}

// optionNames are those of busybox's udhcpc (networking/udhcp/common.c).
var optionNames = map[string]uint8{
	"subnet": 1, "timezone": 2, "router": 3, "timesrv": 4, "namesrv": 5, "dns": 6, "logsrv": 7, "cookiesrv": 8,
	"lprsrv": 9, "hostname": 12, "bootsize": 13, "domain": 15, "swapsrv": 16, "rootpath": 17, "ipttl": 23,
	"mtu": 26, "broadcast": 28, "routes": 33, "nisdomain": 40, "nissrv": 41, "ntpsrv": 42, "wins": 44,
	"tftp": 66, "bootfile": 67, "tzstr": 100, "tzdbstr": 101, "search": 119, "sipsrv": 120, "staticroutes": 121, "wpad": 252,
}

package config

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// last reads the fourth word, [macaddr|U:string][@vlan]. As in the classic tool
// the MAC ends at the first @ and the VLAN at the next; the rest is not read.
func (p *parser) last(word string) {
	mac, vlan, tagged := strings.Cut(word, "@")
	if unique, ok := strings.CutPrefix(mac, "U:"); ok {
		p.unique(unique)
	} else if mac != "" {
		p.mac(mac)
	}
	if tagged {
		vlan, _, _ = strings.Cut(vlan, "@")
		p.vlan(vlan)
	}
}

func (p *parser) mac(text string) {
	mac, err := parseMAC(text)
	if err != nil {
		p.addf("%w (the last word is [macaddr|U:string][@vlan])", err)
	}
	p.line.MAC = mac
}

func (p *parser) unique(text string) {
	switch {
	case text == "":
		p.addf(`"U:" names nothing to make a MAC address from: write U:web, or leave it out`)
	case !printable(text):
		p.addf("%q %s", "U:"+text, unprintable)
	}
	p.line.Unique, p.line.MAC = text, uniqueMAC(text)
}

// uniqueMAC makes the classic tool's address from text: locally administered,
// then the first five bytes of the MD5 sum of text and a newline. It names, it
// does not protect.
func uniqueMAC(text string) net.HardwareAddr {
	sum := md5.Sum([]byte(text + "\n"))
	return append(net.HardwareAddr{0x02}, sum[:5]...)
}

// parseMAC reads an Ethernet address that one interface can bear.
func parseMAC(text string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(text)
	switch {
	case err != nil: // its text is not quoted: it might not be one line
		return nil, fmt.Errorf("%q is not a MAC address: write six bytes, as in 02:00:00:00:00:01", text)
	case len(mac) != 6:
		return nil, fmt.Errorf("the MAC address %q has %d bytes: write the six of Ethernet, as in 02:00:00:00:00:01", text, len(mac))
	case mac[0]&1 != 0:
		return nil, fmt.Errorf("the MAC address %q is a multicast one: make its first byte even, as in 02:00:00:00:00:01", text)
	case bytes.Equal(mac, make([]byte, 6)):
		return nil, fmt.Errorf("the MAC address %q is all zeros: write one such as 02:00:00:00:00:01", text)
	}
	return mac, nil
}

func (p *parser) vlan(text string) {
	switch {
	case text == "":
		p.addf("no VLAN follows the @ of the last word: write @100, or leave out the @")
	case strings.Trim(text, "0123456789abcdefABCDEFx") != "":
		p.addf("the VLAN %q is not a number: write @100 (for IPoIB a partition key such as @8001)", text)
	}
	p.line.VLAN = text
}

// VLANID returns the 802.1Q VLAN that l asks for, 1 to 4094, and 0 when it asks
// for none. It refuses the hexadecimal partition keys that only IPoIB
// understands. [errors.Is] tells its error as [ErrUsage].
func (l Line) VLANID() (uint16, error) {
	if l.VLAN == "" {
		return 0, nil
	}
	id, err := strconv.ParseUint(l.VLAN, 10, 16)
	if err != nil || id < 1 || id > 4094 {
		var p problems
		p.addf("the VLAN %q is not a decimal number from 1 to 4094: write one, such as @100", l.VLAN)
		return 0, p.err()
	}
	return uint16(id), nil
}

// lastWord says the MAC address and the VLAN; nil when there is neither.
func (l Line) lastWord() []string {
	word := l.MAC.String()
	if l.Unique != "" {
		word = "U:" + l.Unique
	}
	if l.VLAN != "" {
		word += "@" + l.VLAN
	}
	if word == "" {
		return nil
	}
	return []string{word}
}

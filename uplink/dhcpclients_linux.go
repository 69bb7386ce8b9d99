package uplink

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// This file reads what DHCP clients know of their leases: what they have sent as client
// identifier, in the order to try, where an empty one is none, and the address, if they tell.

// lease reads what the client knows.
func (c *dhcpClient) lease(nic *rtnl.Link) (addr netip.Prefix, ids [][]byte) {
	pid := c.All[0].PID
	words := strings.Split(strings.TrimRight(string(readSome(fmt.Sprintf("/proc/%d/cmdline", pid))), "\x00"), "\x00")
	read := func(path string) []byte { return readSome(fmt.Sprintf("/proc/%d/root%s", pid, path)) }
	byMAC := append([]byte{1}, nic.MAC...)
	switch c.Name {
	case "dhclient":
		addr, ids = dhclientLease(words, nic, read)
	case "dhcpcd":
		addr, ids = dhcpcdLease(nic, read)
	case "udhcpc":
		ids = udhcpcIDs(words, byMAC)
	}
	for _, id := range [][]byte{byMAC, {}} {
		if !slices.ContainsFunc(ids, func(o []byte) bool { return string(o) == string(id) }) {
			ids = append(ids, id)
		}
	}
	return addr, ids
}

// after is the word behind an option; "": there is none.
func after(words []string, option string) string {
	if i := slices.Index(words, option); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

// What dhclient writes, and is told to send.
var (
	dhclientFixed = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^\s*fixed-address ([0-9.]+);`) })
	dhclientSends = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?m)^\s*(?:send|option) dhcp-client-identifier\s+=?\s*([^;]+);`)
	})
)

// dhclientLease reads ISC dhclient's leases, of which the last one counts, and its configuration.
// Unless that says so it sends no identifier.
func dhclientLease(words []string, nic *rtnl.Link, read func(string) []byte) (addr netip.Prefix, ids [][]byte) {
	for _, path := range []string{after(words, "-lf"), "/var/lib/dhcp/dhclient." + nic.Name + ".leases", "/var/lib/dhcp/dhclient.leases", "/var/lib/dhclient/dhclient.leases"} {
		blocks := strings.Split(string(read(path)), "lease {")
		for _, block := range slices.Backward(blocks) {
			found := dhclientFixed().FindStringSubmatch(block)
			if found == nil || !strings.Contains(block, `interface "`+nic.Name+`";`) {
				continue
			}
			if ip, err := netip.ParseAddr(found[1]); err == nil {
				addr = netip.PrefixFrom(ip, 32)
			}
			if sent := dhclientSends().FindStringSubmatch(block); sent != nil {
				ids = append(ids, dhclientData(sent[1], nic.MAC))
			}
			break
		}
		if addr.IsValid() {
			break
		}
	}
	for _, path := range []string{after(words, "-cf"), "/etc/dhcp/dhclient.conf", "/etc/dhclient.conf"} {
		if text := read(path); path != "" && text != nil {
			if sent := dhclientSends().FindSubmatch(text); sent != nil {
				ids = append(ids, dhclientData(string(sent[1]), nic.MAC))
			}
			break
		}
	}
	return addr, append(ids, []byte{})
}

// dhclientData is data as dhclient.conf(5) writes it: text, bytes in hexadecimal, or the MAC with its type.
func dhclientData(text string, mac net.HardwareAddr) []byte {
	text = strings.TrimSpace(text)
	if text == "hardware" {
		return append([]byte{1}, mac...)
	}
	if plain, err := strconv.Unquote(text); err == nil {
		return []byte(plain)
	}
	var data []byte
	for digits := range strings.SplitSeq(text, ":") {
		b, err := strconv.ParseUint(digits, 16, 8)
		if err != nil {
			return []byte{}
		}
		data = append(data, byte(b))
	}
	return data
}

// dhcpcdLease reads dhcpcd's lease, which is the server's message, and the DUID, of which it makes
// an identifier with the end of the MAC (RFC 4361) unless it is told otherwise.
func dhcpcdLease(nic *rtnl.Link, read func(string) []byte) (addr netip.Prefix, ids [][]byte) {
	for _, dir := range []string{"/var/lib/dhcpcd/", "/var/lib/dhcpcd5/", "/var/db/dhcpcd/"} {
		for _, path := range []string{dir + nic.Name + ".lease", dir + "dhcpcd-" + nic.Name + ".lease"} {
			m, err := dhcpv4.FromBytes(read(path))
			if err != nil {
				continue
			}
			if ip, ok := netip.AddrFromSlice(m.YourIPAddr.To4()); ok {
				addr = netip.PrefixFrom(ip, 32)
			}
			if id := m.Options.Get(dhcpv4.OptionClientIdentifier); len(id) > 1 {
				ids = append(ids, id)
			}
		}
		duid, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(read(dir+"duid"))), ":", ""))
		if err == nil && len(duid) > 2 && len(nic.MAC) == 6 {
			ids = append(ids, slices.Concat([]byte{255}, nic.MAC[2:], duid))
		}
	}
	return addr, ids
}

// udhcpcIDs reads what udhcpc is told to send; its default is the MAC.
func udhcpcIDs(words []string, byMAC []byte) [][]byte {
	for i, word := range words {
		text := strings.TrimPrefix(word, "-x")
		if word == "-x" && i+1 < len(words) {
			text = words[i+1]
		}
		for _, name := range []string{"0x3d:", "61:"} {
			if digits, is := strings.CutPrefix(text, name); is {
				if id, err := hex.DecodeString(strings.ReplaceAll(digits, ":", "")); err == nil {
					return [][]byte{id}
				}
			}
		}
	}
	if slices.Contains(words, "-C") || slices.Contains(words, "--clientid-none") {
		return [][]byte{{}}
	}
	return [][]byte{byMAC}
}

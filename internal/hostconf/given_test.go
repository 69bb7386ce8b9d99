//go:build linux

package hostconf_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/hostconf"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/uplink"
)

// given is a bridge whose addresses others give.
var given = hostconf.Bridge{Name: "br0", NIC: "nic0", MAC: net.HardwareAddr{2, 0, 0, 0, 0xb, 1}, MTU: 9000, DHCP4: true, Advertised: true, Unsaid: []string{"route x"}}

// TestGiven has DHCP, router advertisements, another MTU, and what is not said, in every manager's
// words.
func TestGiven(t *testing.T) {
	for manager, want := range map[string][]string{
		"networkd":       {"DHCP=ipv4\nIPv6AcceptRA=yes\n", "[DHCPv4]\nClientIdentifier=mac\n", "MTUBytes=9000"},
		"netplan":        {"dhcp4: true\n", "accept-ra: true\n", "dhcp-identifier: mac\n", "mtu: 9000"},
		"NetworkManager": {"[ipv4]\nmethod=auto\ndhcp-client-id=mac\n", "[ipv6]\nmethod=auto\n", "mtu=9000", "chmod 600\n"},
		"ifupdown":       {"iface br0 inet dhcp\n", "iface br0 inet6 auto\n", "mtu 9000"},
	} {
		files, err := hostconf.Write(manager, given)
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, f := range files {
			all.WriteString(f.Text)
		}
		for _, text := range append(want, "# Not said here: route x\n") {
			if !strings.Contains(all.String(), text) {
				t.Errorf("%s: %q is not in\n%s", manager, text, all.String())
			}
		}
	}
	if _, err := hostconf.Write("wicd", given); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	onSwitch := given
	onSwitch.OVS = true
	for manager, can := range map[string]bool{"networkd": false, "NetworkManager": false, "netplan": true, "ifupdown": true} {
		if _, err := hostconf.Write(manager, onSwitch); (err == nil) != can || err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", manager, err)
		}
	}
}

// TestGivenIsRead has netplan and ifupdown read that, for bridges of both kinds.
func TestGivenIsRead(t *testing.T) {
	for _, ovs := range []bool{false, true} {
		b := given
		b.OVS = ovs
		h := newHost(t)
		netplan, err := hostconf.Write("netplan", b)
		if err != nil {
			t.Fatal(err)
		}
		ifupdown, err := hostconf.Write("ifupdown", b)
		if err != nil {
			t.Fatal(err)
		}
		h.files(t, netplan[0], ifupdown[0], uplink.ConfigFile{Path: "/etc/network/interfaces", Text: "source interfaces.d/*\n"})
		stop := h.start(t, `mkdir -p /gen/etc /run/network; cp -a /etc/netplan /gen/etc/; /usr/lib/netplan/generate --root-dir /gen && ifup -n br0 && echo "all is read"`)
		testwait.Eventually(t, "they have read it", func() bool {
			said, _ := os.ReadFile(filepath.Join(h.dir, "said"))
			return strings.Contains(string(said), "all is read")
		})
		stop()
	}
}

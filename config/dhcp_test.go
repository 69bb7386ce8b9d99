package config

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-pipework/pipework/dhcp"
)

func TestDHCPConfig(t *testing.T) {
	for word, want := range map[string]DHCP{
		"dhcp":                         {},
		"dhcp:":                        {},
		"dhcp:-f":                      {Foreground: true},
		"dhcp:-f -x hostname:web":      {Foreground: true, Config: dhcp.Config{Hostname: "web"}},
		"dhcp:-x 0x3d:00776562 -B":     {Config: dhcp.Config{ClientID: []byte("\x00web"), Broadcast: true}},
		"dhcp:-r 10.0.0.9 -V box":      {Config: dhcp.Config{Requested: netip.MustParseAddr("10.0.0.9"), VendorClass: "box"}},
		"dhcp:-O ntpsrv -O 43 -O 0x42": {Config: dhcp.Config{Parameters: []uint8{42, 43, 66}}},
		"":                             {},
		"udhcpc":                       {Program: "udhcpc"},
		"udhcpc-f:-t 5":                {Program: "udhcpc", Foreground: true, Options: []string{"-t", "5"}},
		"dhclient-f":                   {Program: "dhclient", Foreground: true},
		"dhcpcd:--noarp":               {Program: "dhcpcd", Options: []string{"--noarp"}},
		"dhcp:-a":                      {Config: dhcp.Config{Probe: 2 * time.Second}},
		"dhcp:-a500 -f":                {Foreground: true, Config: dhcp.Config{Probe: 500 * time.Millisecond}},
		"dhcp:-t3 -T 2 -A 60":          {Again: time.Minute, Config: dhcp.Config{Tries: 3, Timeout: 2 * time.Second}},
		"dhcp6":                        {Config: dhcp.Config{Family: dhcp.IPv6}},
		"dhcp6,dhcp:-f":                {Foreground: true, Config: dhcp.Config{Family: dhcp.Both}},
		"dhcp6:-r fd00::9 -x duid:000300017766": {Config: dhcp.Config{
			Family: dhcp.IPv6, Requested: netip.MustParseAddr("fd00::9"), DUID: []byte("\x00\x03\x00\x01wf")}},
		"dhcp,dhcp6:-r fd00::9 -x 61:0077 -V box": {Config: dhcp.Config{
			Family: dhcp.Both, Requested: netip.MustParseAddr("fd00::9"), ClientID: []byte("\x00w"), VendorClass: "box"}},
	} {
		got, err := Line{DHCP: word}.DHCPConfig()
		if err != nil {
			t.Errorf("%s: %v", word, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", word, diff)
		}
	}
	for word, want := range map[string]string{
		"dhcp:-s /bin/x":         "-s is not taken: pipework configures the interface itself",
		"dhcp:-z":                "-z is not understood",
		"dhcp:--syslog":          `"--syslog" is no option`,
		"dhcp:web":               `"web" is no option`,
		"dhcp:-r":                "-r needs a value",
		"dhcp:-r fd00::1":        "-r needs an IPv4 address",
		"dhcp:-a0":               "-a needs a number from 1 to 60000",
		"dhcp6:-a":               "dhcp6: -a is not taken",
		"dhcp:-t 0":              "-t needs a number from 1 to 20",
		"dhcp:-O nonsense":       "-O nonsense is no option",
		"dhcp:-x hostname":       "-x needs an option and a value",
		"dhcp:-x bootfile:a":     "-x bootfile is not sent",
		"dhcp:-x hostname:a_b;c": "no host name",
		"dhcp:-x 61:xy":          "hexadecimal",
		"dhcp6:-r 10.0.0.1":      "-r needs an IPv6 address",
		"dhcp6:-O 43":            "dhcp6: -O is not taken",
		"dhcp6:-V box":           "dhcp6: -V is not taken",
		"dhcp6:-B":               "dhcp6: -B is not taken",
		"dhcp6:-x 61:0077":       "-x 61 is not sent",
		"dhcp:-x duid:0003":      "-x duid is not sent",
		"dhcp6:-x duid:00":       "a DUID of 1 bytes",
		"dhcp:-z -t 0":           "-z is not understood here; dhcp: -t needs",
	} {
		_, err := Line{DHCP: word}.DHCPConfig()
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v, want %q", word, err, want)
		}
	}
}

func TestDHCPByFamily(t *testing.T) {
	if got, err := (Line{DHCP: "dhcp", Family: Inet6}).DHCPConfig(); err != nil || got.Config.Family != dhcp.IPv6 {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzDHCP(f *testing.F) {
	f.Add("dhcp:-f -x hostname:web -O 42")
	f.Add("dhcp:-x 0x3d:00 -r 1.2.3.4")
	f.Add("dhcp,dhcp6:-x duid:000300017766 -r fd00::1")
	f.Fuzz(func(t *testing.T, word string) {
		d, err := Line{DHCP: word}.DHCPConfig()
		if err == nil && d.Config.Validate() != nil {
			t.Errorf("%q makes %+v", word, d)
		}
	})
}

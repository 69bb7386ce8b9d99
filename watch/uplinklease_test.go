//go:build linux

package watch_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/uplink"
	"github.com/go-pipework/pipework/watch"
)

// TestKeepsUplinkLease renews the lease that an uplink has taken over from udhcpc.
func TestKeepsUplinkLease(t *testing.T) {
	program := dhcptest.Need(t, "udhcpc")
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	server := dhcptest.Dnsmasq(t, "--dhcp-option=option:router,"+dhcptest.Router)
	_, host := nstest.Guest(t)
	mac := dhcptest.Plug(t, host).Attrs().HardwareAddr.String()
	script := filepath.Join(t.TempDir(), "script")
	must(t, os.WriteFile(script, []byte("#!/bin/sh\n[ $1 != bound ] || /sbin/ip addr replace $ip/24 dev eth1 valid_lft $lease preferred_lft $lease\n"), 0o755))
	client := exec.Command(program, "-f", "-i", "eth1", "-s", script)
	must(t, host.Start(t.Context(), client))
	t.Cleanup(func() { _ = client.Process.Kill(); _ = client.Wait() })
	s := store(t)
	plan := uplink.Plan{NIC: "eth1", Bridge: "br0", DHCP: true, Store: s, Host: host.Handle}
	addrs := func() string {
		cmd := exec.Command("ip", "-4", "addr", "show")
		var out bytes.Buffer
		cmd.Stdout = &out
		must(t, host.Exec(t.Context(), cmd))
		return out.String()
	}
	testwait.Eventually(t, "the client has an address", func() bool { return strings.Contains(addrs(), "inet 10.77.0.") })
	_, err := uplink.Move(t.Context(), plan)
	must(t, err)

	// Its time to renew has come.
	note := keep.Note{Kind: "uplink", Of: "br0"}
	b, err := s.Note(note)
	must(t, err)
	must(t, s.PutNote(note, regexp.MustCompile(`"renew":"[^"]*",`).ReplaceAll(b, nil)))
	requests := func() int { return strings.Count(server.Log(), "DHCPACK(lan) 10.77.0.50 "+mac) }
	before := requests()
	w := runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Attacher: pipework.Attacher{Host: host.Handle}, Store: s}})
	testwait.Eventually(t, "the lease is renewed", func() bool { return requests() > before })
	testwait.Eventually(t, "that is recorded", func() bool {
		b, err := s.Note(note)
		return err == nil && strings.Contains(string(b), `"renew":`)
	})
	if strings.Contains(w.said.String(), "level=WARN") {
		t.Error(w.said.String())
	}
	_, err = uplink.Undo(t.Context(), plan)
	must(t, err)
	if !strings.Contains(addrs(), "scope global dynamic eth1") {
		t.Errorf("the NIC has not its address back: %s", addrs())
	}
}

//go:build linux

package program_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp/program"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns"
)

// slowScript is what udhcpc's own script does, on a busy machine: ifconfig sets an
// address of class A with a prefix of 8 bits, and then its netmask.
const slowScript = `#!/bin/sh
[ "$1" = bound ] || exit 0
busybox ip addr add $ip/8 dev $interface
sleep 0.5
busybox ip addr del $ip/8 dev $interface
busybox ip addr add $ip/$mask dev $interface
`

func TestSlowScript(t *testing.T) {
	dhcptest.Need(t, "udhcpc")
	lan(t)
	script := filepath.Join(t.TempDir(), "script")
	check(t, os.WriteFile(script, []byte(slowScript), 0o755))
	c := program.Client{Name: "udhcpc", Stay: true, Options: []string{"-s", script}, Output: writer{t}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	at, r, err := c.Attach(ctx, new(pipework.Attacher), ns.PID(nstest.Process(t).PID), spec())
	check(t, err)
	if len(at.Addrs) != 1 || at.Addrs[0].Bits() != 24 {
		t.Errorf("addresses %v, want one of 24 bits", at.Addrs)
	}
	cancel()
	check(t, r.Wait(ctx))
}

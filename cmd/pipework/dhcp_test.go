//go:build linux

package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/sandbox"
)

// TestDHCPScripts runs the command lines of testdata/dhcp in a network with a real
// server, which the script command "serve" starts.
func TestDHCPScripts(t *testing.T) {
	for _, program := range []string{"dnsmasq", "dhcpd", "udhcpc"} {
		dhcptest.Need(t, program)
	}
	dhcptest.Network(t)
	var server *dhcptest.Server
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/dhcp",
		RequireExplicitExec: true,
		Setup:               setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"guest": guest,
			"show":  show,
			"await": await,
			"says":  says,
			"json":  fitsSchema,
			// serve starts dnsmasq with more options, or, with a number, dhcpd with
			// leases of so many seconds.
			"serve": func(ts *testscript.TestScript, _ bool, args []string) {
				if n, err := strconv.Atoi(strings.Join(args, "")); err == nil {
					server = dhcptest.ISC(t, n, 50, 60)
				} else {
					server = dhcptest.Dnsmasq(t, args...)
				}
				ts.Defer(server.Stop)
			},
			"logged": func(ts *testscript.TestScript, _ bool, args []string) { server.Wait(t, strings.Join(args, " ")) },
			// leased waits until the lease file has a text, or with ! has it no more.
			"leased": func(ts *testscript.TestScript, no bool, args []string) {
				text := strings.Join(args, " ")
				eventually(ts, "the lease file has "+text, func() bool { return strings.Contains(server.Leases(t), text) != no })
			},
			// process starts a guest that has a process, whose number is put into an
			// environment variable.
			"process": func(ts *testscript.TestScript, _ bool, args []string) {
				p, err := sandbox.Start()
				ts.Check(err)
				ts.Setenv(args[0], strconv.Itoa(p.PID))
				ts.Defer(func() { _ = p.Kill() })
			},
		},
	})
}

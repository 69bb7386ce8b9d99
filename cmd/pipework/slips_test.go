//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/cli"
)

// TestSlips types lines with a wrong word, a missing one, one too many, or in the wrong
// order, for every verb: one line says which, and the way out.
func TestSlips(t *testing.T) {
	const line = "<hostinterface> <guest> <address>/<prefix>[@gateway] [macaddr][@vlan]"
	for _, row := range []struct{ typed, want string }{
		{"", "too few words (0 of at least 3): write pipework " + line},
		{"br1", "too few words (1 of at least 3)"},
		{"br1 web", "too few words (2 of at least 3)"},
		{"detatch web", `unknown verb "detatch": did you mean detach?`},
		{"status", `unknown verb "status": did you mean check?`},
		{"ls", `unknown verb "ls": did you mean list?`},
		{"plug br1 web 10.0.0.2/24", `unknown verb "plug": did you mean attach?`},
		{"rm web", `unknown verb "rm": did you mean detach?`},
		{"whatch", `unknown verb "whatch": did you mean watch?`},
		{"br1 web 10.0.0.2", "Maybe you meant 10.0.0.2/24 ?"},
		{"br1 10.0.0.2/24 web", `the address "10.0.0.2/24" stands too early: write pipework ` + line},
		{"br1 web dchp", `"dchp" is not an address: did you mean dhcp?`},
		{`attach 10.0.0.2/24 br1 web`, `the address "10.0.0.2/24" stands too early`},
		{"bond:br1 web 0/0", `host interface "bond:br1": there is no kind "bond": there are bridge, macvlan, `},
		{"macvlan/privat:eth0 web 0/0", `there is no kind "macvlan/privat": did you mean macvlan/private:eth0?`},
		{"brigde:br1 web 0/0", `there is no kind "brigde": did you mean bridge:br1?`},
		{"br1 web 10.0.0.2/24 @100 x", `the first too many is "x"`},
		{"br1 web 10.0.0.2/24 --mtu", "option --mtu has no value: write --mtu bytes"},
		{"br1 web 10.0.0.2/24 --gress rate=1mbit", `unknown option "--gress": did you mean --egress?`},
		{"br1 web 10.0.0.2/24 -i --json", "option -i has no value: write -i name"},
		{"br1 web 10.0.0.2/24 -i=", "option -i has no value: write -i name"},
		{"br1 web 10.0.0.2/24 --json=yes", `option --json takes no value: write --json alone, not "--json=yes"`},
		{"br1 web 10.0.0.2/24 --timeout 3", "--timeout belongs to --wait"},
		{"attach br1 web", "too few words (2 of at least 3): write pipework " + line},
		{"attach --wait", `unknown option "--wait"`},
		{"attach --spec f", "too few words (0 of at least 1): write pipework --spec FILE <guest>"},
		{"attach --spec f --mtu 1400 web", "--mtu is said in the spec: see docs/spec.md"},
		{"attach --spec f --direct-phys web", "link: {phys: {device: eth3}}"},
		{"detach", "too few words (0 of at least 1): write pipework detach <guest>... [-i interface | --all]"},
		{"detach web -i eth1 --all", "-i and --all contradict each other: keep one"},
		{"detach web -i eth1 -i eth2", "option -i is given twice: keep one"},
		{"detach web -l x", `unknown option "-l": the options are --all, --dry-run, --force`},
		{"list -i eth1", `unknown option "-i"`},
		{"check --mend --policy", "--policy and --mend contradict each other: keep one"},
		{"check --dry-run", "--dry-run belongs to --mend"},
		{"check --prob 1s", `unknown option "--prob": did you mean --probe?`},
		{"check --probe soon", `--probe "soon" is no time to wait: write one such as 10s or 2m`},
		{"gc web", `the first too many is "web": write pipework gc [--dry-run]`},
		{"gc --dry", `unknown option "--dry": did you mean --dry-run?`},
		{"watch web", `the first too many is "web": write pipework watch [options]`},
		{"watch --allow br[", `--allow: "br[" is no pattern for interface names: write such as br*,ovs0`},
		{"watch --engine tcp://h:1", `--engine needs addresses such as unix:///run/podman/podman.sock, not "tcp://h:1"`},
		{"watch --metrics 9090", `--metrics needs a path that begins with /, not "9090"`},
		{"watch --key=", `--key "": write some printable text, or leave the option out`},
		{"--state-dir", "option --state-dir has no value: write --state-dir directory"},
		{"route", "too few words (0 of at least 1): write pipework route <guest> <words for ip route>"},
		{"tc -s qdisc", `unknown option "-s"`},
		{"--wait=carrier", `--wait="carrier" is unknown: write --wait, or --wait=address`},
		{"--wait eth1", `the first too many is "eth1": write pipework --wait[=address] [-i interface] [--timeout 10s]`},
		{"--wait --timeout soon", `--timeout "soon" is no time to wait: write one such as 10s`},
		{"doctor web", `the first too many is "web": write pipework doctor`},
		{"uplink br0", "too few words: write pipework uplink <bridge> <nic>, or pipework uplink alone for a list"},
		{"uplink br0 eth0 -x", `unknown option "-x": the options are --check, --confirm, --dhcp, --dry-run, --json, `},
		{"help nosuch", `unknown verb "nosuch": there are attach, check, completion, detach, docker-driver, doctor, gc, help, list, route, rule, shim, tc, uplink, version, watch (see pipework --help)`},
		{"help detatch", `unknown verb "detatch": did you mean detach?`},
		{"help attach now", `the first too many is "now": write pipework help [<verb>]`},
		{"version now", `the first too many is "now": write pipework version`},
	} {
		err := run(t.Context(), strings.Fields(row.typed), t.Output(), t.Output())
		var out bytes.Buffer
		status := cli.Exit(&out, err)
		if text := out.String(); status != 2 || !errors.Is(err, config.ErrUsage) || !strings.Contains(text, row.want) || strings.Count(text, "\n") != 1 || !strings.Contains(text, " --help)\n") {
			t.Errorf("pipework %s: status %d, %q; want %q", row.typed, status, text, row.want)
		}
	}
}

// TestHelp wants each verb to explain itself, on a terminal of 80 columns, with examples.
func TestHelp(t *testing.T) {
	for _, verb := range strings.Fields("attach detach list check gc watch doctor route rule tc version") {
		var out bytes.Buffer
		if err := run(t.Context(), []string{verb, "--help"}, &out, t.Output()); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if !strings.Contains(text, "\nExamples:\n  pipework "+verb) && !strings.Contains(text, "\nExamples:\n  docker") {
			t.Errorf("%s has no example:\n%s", verb, text)
		}
		checkWidth(t, verb, text)
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"help"}, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	checkWidth(t, "help", out.String())
}

func checkWidth(t *testing.T, verb, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := len(strings.TrimRight(line, "\n")); n > 80 || strings.Contains(line, "true|false") {
			t.Errorf("pipework help %s has %d columns: %s", verb, n, line)
		}
	}
}

// TestUnitFile reads the options that the unit file tells of.
func TestUnitFile(t *testing.T) {
	text, err := os.ReadFile("../../contrib/systemd/pipework.service")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), `PIPEWORK_WATCH="`)
	options, _, _ := strings.Cut(rest, `"`)
	words := append(strings.Fields("watch too-many"), strings.Fields(options)...)
	err = run(t.Context(), words, t.Output(), t.Output())
	if !found || err == nil || !strings.Contains(err.Error(), "too-many") || !strings.Contains(string(text), "\nExecStart=pipework watch $PIPEWORK_WATCH\n") {
		t.Errorf("%q: %v", options, err)
	}
	if owns, keeps := strings.Contains(string(text), "\nRuntimeDirectory=pipework\n"), strings.Contains(string(text), "\nRuntimeDirectoryPreserve=yes\n"); owns && !keeps {
		t.Error("the service takes along what others have in /run/pipework when it ends")
	}
}

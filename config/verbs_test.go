package config

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestParseTool(t *testing.T) {
	for _, row := range []struct {
		name string
		args []string
		want Tool
	}{
		{"route", fields("route web add 10.0.0.0/8 via 192.168.1.254"), Tool{"web", fields("ip route add 10.0.0.0/8 via 192.168.1.254")}},
		{"rule", fields("rule netns:blue"), Tool{"netns:blue", fields("ip rule")}},
		{"tc", fields("tc web -s qdisc show"), Tool{"web", fields("tc -s qdisc show")}},
		{"words that would be ours", fields("tc web -v --json -- -h"), Tool{"web", fields("tc -v --json -- -h")}},
		{"an empty word", []string{"tc", "web", ""}, Tool{"web", []string{"tc", ""}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			flags, rest, err := Split(row.args)
			if err != nil || flags != (Flags{}) || !IsTool(rest) {
				t.Fatalf("Split(%q) = %+v, %q, %v", row.args, flags, rest, err)
			}
			got, err := ParseTool(rest)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, args := range [][]string{nil, {"router", "web"}, {"br1", "route"}} {
		if IsTool(args) {
			t.Errorf("%q is for iproute2", args)
		}
	}
}

func TestParseToolRefuses(t *testing.T) {
	for _, row := range []struct {
		args []string
		want string
	}{
		{fields("route"), "no guest: write pipework route <guest> <words for ip route>"},
		{fields("tc -s qdisc"), `"-s" is no guest: write pipework tc <guest> <words for tc>`},
		{[]string{"rule", ""}, "the guest is empty: name a container, or check that the variable it came from is set"},
	} {
		got, err := ParseTool(row.args)
		checkRefusal(t, err, row.want)
		if diff := cmp.Diff(Tool{}, got); diff != "" {
			t.Errorf("beside its error: %s", diff)
		}
	}
}

func TestParseWait(t *testing.T) {
	for line, want := range map[string]Wait{
		"--wait":                              {},
		"--wait -i ib0":                       {Name: "ib0"},
		"--wait=address -i=eth2":              {Name: "eth2", Address: true},
		"--wait --timeout 10":                 {Timeout: 10 * time.Second},
		"--wait=address --timeout=1m30s -i x": {Name: "x", Address: true, Timeout: 90 * time.Second},
	} {
		args := fields(line)
		if !IsWait(args) {
			t.Errorf("%s is no wait", line)
		}
		if got, err := ParseWait(args); err != nil || got != want {
			t.Errorf("%s: %+v, %v", line, got, err)
		}
	}
	for line, want := range map[string]string{
		"--wait=carrier":             `--wait="carrier" is unknown: write --wait, or --wait=address`,
		"--wait=":                    `--wait="" is unknown: write --wait, or --wait=address`,
		"--wait eth1":                `too many words, the first too many is "eth1": write pipework --wait[=address] [-i containerinterface] [--timeout 10s]`,
		"--wait --timeout soon":      `--timeout "soon" is no time: write one such as 10s`,
		"--wait --timeout 0":         `--timeout "0" is no time: write one such as 10s`,
		"--wait --timeout=-1s":       `--timeout "-1s" is no time: write one such as 10s`,
		"--wait -i .. --timeout 1 x": `too many words, the first too many is "x": write pipework --wait[=address] [-i containerinterface] [--timeout 10s]`,
	} {
		_, err := ParseWait(fields(line))
		checkRefusal(t, err, want)
	}
	for _, args := range [][]string{nil, {"--waiting"}, {"br1", "--wait"}} {
		if IsWait(args) {
			t.Errorf("%q waits", args)
		}
	}
}

// FuzzVerbs wants what is wrong to be said on one printable line.
func FuzzVerbs(f *testing.F) {
	for _, seed := range []string{"--wait\x00-i\x00eth1\x00--timeout\x0010", "--wait=\n", "route\x00web\x00add", "tc\x00\xff", "--wait\x00--timeout=9e9s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\x00")
		var err error
		switch {
		case IsWait(args):
			_, err = ParseWait(args)
		case IsTool(args):
			_, err = ParseTool(args)
		}
		if err == nil {
			return
		}
		if !errors.Is(err, ErrUsage) || strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("error %q is not ErrUsage, or not one printable line", err)
		}
	})
}

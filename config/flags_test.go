package config

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	for _, row := range []struct {
		name string
		args []string
		want Flags
		rest []string
	}{
		{"nothing", nil, Flags{}, nil},
		{"no flags", []string{"br1", "web", "0/0"}, Flags{}, []string{"br1", "web", "0/0"}},
		{"every flag", []string{"--json", "-v", "--help", "--version", "--forward"}, Flags{JSON: true, Verbose: true, Help: true, Version: true, Forward: "on"}, nil},
		{"short help", []string{"-h"}, Flags{Help: true}, nil},
		{"anywhere", []string{"br1", "--json", "-i", "eth2", "web", "--no-forward", "0/0", "-v"}, Flags{JSON: true, Verbose: true, Forward: "off"}, []string{"br1", "-i", "eth2", "web", "0/0"}},
		{"a path", []string{"--resolv-conf=/a/b", "br1"}, Flags{ResolvConf: "/a/b"}, []string{"br1"}},
		{"wait", []string{"br1", "--wait-guest", "10s", "web", "0/0"}, Flags{WaitGuest: 10 * time.Second}, []string{"br1", "web", "0/0"}},
		{"probe", []string{"br1", "--probe=2s", "web", "0/0"}, Flags{Probe: 2 * time.Second}, []string{"br1", "web", "0/0"}},
		{"wait inline", []string{"--wait-guest=2m"}, Flags{WaitGuest: 2 * time.Minute}, nil},
		{"state", []string{"check", "--state-dir", "/var/x", "web"}, Flags{State: "/var/x"}, []string{"check", "web"}},
		{"state inline", []string{"--state-dir=a b", "--state-dir", "a b"}, Flags{State: "a b"}, nil},
		{"repeated", []string{"--forward", "--json", "--json", "--forward"}, Flags{JSON: true, Forward: "on"}, nil},
		{"after --", []string{"-v", "br1", "--", "--json", "0/0"}, Flags{Verbose: true}, []string{"br1", "--", "--json", "0/0"}},
		{"other options stay", []string{"list", "--jsonl", "--json=1"}, Flags{}, []string{"list", "--jsonl", "--json=1"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			flags, rest, err := Split(row.args)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, flags); diff != "" {
				t.Errorf("flags (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.rest, rest); diff != "" {
				t.Errorf("rest (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSplitRefuses(t *testing.T) {
	for _, args := range [][]string{{"--forward", "--no-forward"}, {"--no-forward", "br1", "--forward"}} {
		_, _, err := Split(args)
		checkRefusal(t, err, "--forward and --no-forward contradict each other: keep one")
	}
}

func TestSplitRefusesPath(t *testing.T) {
	_, _, err := Split([]string{"br1", "--resolv-conf=a"})
	checkRefusal(t, err, `--resolv-conf= needs a path that begins with /, not "a"`)
}

func TestWaitGuestRefused(t *testing.T) {
	for _, value := range []string{"", "10", "-1s", "0s", "25h", "web"} {
		_, _, err := Split([]string{"--wait-guest=" + value})
		checkRefusal(t, err, fmt.Sprintf("--wait-guest %q is no time to wait: write one such as 10s or 2m", value))
	}
	_, _, err := Split([]string{"br1", "--probe", "soon"})
	checkRefusal(t, err, `--probe "soon" is no time to wait: write one such as 10s or 2m`)
	_, _, err = Split([]string{"br1", "--wait-guest"})
	checkRefusal(t, err, `--wait-guest "" is no time to wait: write one such as 10s or 2m`)
}

func TestParseDetach(t *testing.T) {
	for _, row := range []struct {
		name string
		args []string
		want Detach
	}{
		{"guest", []string{"web"}, Detach{Guest: "web"}},
		{"interface", []string{"web", "-i", "eth2"}, Detach{Guest: "web", Name: "eth2"}},
		{"interface first", []string{"-i=eth2", "web"}, Detach{Guest: "web", Name: "eth2"}},
		{"all", []string{"web", "--all"}, Detach{Guest: "web", All: true}},
		{"dashed guest", []string{"--", "-web"}, Detach{Guest: "-web"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseDetach(row.args)
			if err != nil || got != row.want {
				t.Errorf("ParseDetach(%q) = %+v, %v, want %+v", row.args, got, err, row.want)
			}
		})
	}
}

func TestParseDetachRefuses(t *testing.T) {
	const syntax = "write pipework detach <guest> [-i containerinterface | --all] [--force]"
	for _, row := range []struct {
		name string
		args []string
		want string
	}{
		{"no guest", nil, "too few words (0 of at least 1): " + syntax},
		{"two guests", []string{"web", "db"}, `too many words, the first too many is "db": ` + syntax},
		{"classic option", []string{"web", "-l", "x"}, `unknown option "-l": the options are --all, --force, -i, and for every command --json, -v, --resolv-conf=<path>, --state-dir, --forward, --no-forward, --wait-guest, --probe, --help, --version`},
		{"one and all", []string{"web", "-i", "eth1", "--all"}, "-i and --all contradict each other: keep one"},
		{"no value", []string{"web", "-i"}, "option -i has no value: write -i value, or -i=value for one that begins with a dash"},
		{"everything at once", []string{"", "-i", ".."}, `the guest is empty: name a container, or check that the variable it came from is set; -i ".." names a folder, not an interface: write one such as eth1`},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseDetach(row.args)
			checkRefusal(t, err, row.want)
			if got != (Detach{}) {
				t.Errorf("ParseDetach(%q) = %+v beside its error", row.args, got)
			}
		})
	}
}

func TestStateDirRefused(t *testing.T) {
	for want, args := range map[string][]string{
		"option --state-dir has no value: write --state-dir /a/directory": {"--state-dir"},
		"option --state-dir is given twice: keep one":                     {"--state-dir=a", "--state-dir=b"},
		`--state-dir "a\nb" ` + unprintable:                               {"--state-dir", "a\nb"},
	} {
		_, _, err := Split(args)
		checkRefusal(t, err, want)
	}
}

func TestFlagsArgs(t *testing.T) {
	for _, f := range []Flags{{}, {Forward: "on"}, {Forward: "off"}} {
		if got, rest, err := Split(f.Args()); err != nil || len(rest) > 0 || got != f {
			t.Errorf("%+v is %q, which is %+v, %q, %v", f, f.Args(), got, rest, err)
		}
	}
}

func TestParseCheck(t *testing.T) {
	got, err := ParseCheck([]string{"web", "netns:blue"})
	if diff := cmp.Diff([]string{"web", "netns:blue"}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	_, err = ParseCheck([]string{"-x"})
	checkRefusal(t, err, `unknown option "-x": the options are `+everywhere)
}

func TestParseCollect(t *testing.T) {
	for _, row := range []struct {
		args []string
		want bool
	}{{nil, false}, {[]string{"--dry-run"}, true}} {
		if got, err := ParseCollect(row.args); got != row.want || err != nil {
			t.Errorf("%q: %v, %v", row.args, got, err)
		}
	}
	_, err := ParseCollect([]string{"web"})
	checkRefusal(t, err, `too many words, the first too many is "web": write pipework gc [--dry-run]`)
	_, err = ParseCollect([]string{"--dry"})
	checkRefusal(t, err, `unknown option "--dry": the options are --dry-run, and `+everywhere)
}

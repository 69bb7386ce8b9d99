package config

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseWatch(t *testing.T) {
	for _, row := range []struct {
		args string
		want Watch
	}{
		{"", Watch{}},
		{
			"--trust-images --allow br*,ovs0 --key k --metrics=/run/p.sock --engine unix:///a,unix:///b",
			Watch{Declarations{true, Allow{"br*", "ovs0"}, "k"}, "/run/p.sock", []string{"unix:///a", "unix:///b"}},
		},
	} {
		got, err := ParseWatch(strings.Fields(row.args))
		if diff := cmp.Diff(row.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", row.args, err, diff)
		}
	}
	for args, want := range map[string]string{
		"web":                     "too many words",
		"--allow":                 "option --allow has no value",
		"--allow br[":             `"br[" is no pattern`,
		"--key=":                  "--key is empty",
		"--metrics 9090":          "needs the path of a socket",
		"--engine tcp://h:1":      "needs addresses such as unix:///run/podman/podman.sock",
		"--trust":                 "unknown option",
		"--key a --key b":         "given twice",
		"--metrics run --allow x": "needs the path",
	} {
		if _, err := ParseWatch(strings.Fields(args)); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", args, err, want)
		}
	}
}

// TestUnitFile reads the options that the unit file tells of.
func TestUnitFile(t *testing.T) {
	text, err := os.ReadFile("../contrib/systemd/pipework.service")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), `PIPEWORK_WATCH="`)
	options, _, _ := strings.Cut(rest, `"`)
	if _, err := ParseWatch(strings.Fields(options)); err != nil || !found || !strings.Contains(string(text), "\nExecStart=/usr/local/bin/pipework watch $PIPEWORK_WATCH\n") {
		t.Errorf("%q: %v", options, err)
	}
	if owns, keeps := strings.Contains(string(text), "\nRuntimeDirectory=pipework\n"), strings.Contains(string(text), "\nRuntimeDirectoryPreserve=yes\n"); owns && !keeps {
		t.Error("the service takes along what others have in /run/pipework when it ends")
	}
}

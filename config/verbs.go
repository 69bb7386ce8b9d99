package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Tool is a command line whose words go to a program of iproute2 inside the
// guest: pipework route web add 10.0.0.0/8 via 192.168.1.254.
type Tool struct {
	Guest string
	Words []string // the program and its words: ip route add …
}

// tools are the verbs that begin a Tool, and what they stand for.
var tools = map[string][]string{"route": {"ip", "route"}, "rule": {"ip", "rule"}, "tc": {"tc"}}

// IsTool reports whether a command line, without the program's name, begins with
// route, rule or tc.
func IsTool(args []string) bool { return len(args) > 0 && tools[args[0]] != nil }

// ParseTool reads a command line for which [IsTool] holds. Whatever follows the
// guest is the program's, and not looked at. [errors.Is] tells its errors as
// [ErrUsage].
func ParseTool(args []string) (Tool, error) {
	var w words
	switch {
	case len(args) < 2:
		w.addf("no guest: write pipework %s <guest> <words for %s>", args[0], strings.Join(tools[args[0]], " "))
	case isOption(args[1]):
		w.addf("%q is no guest: write pipework %s <guest> <words for %s>", args[1], args[0], strings.Join(tools[args[0]], " "))
	default:
		w.guest(args[1])
	}
	if err := w.err(); err != nil {
		return Tool{}, err
	}
	return Tool{Guest: args[1], Words: slices.Concat(tools[args[0]], args[2:])}, nil
}

// A Wait is the classic pipework --wait, typed inside a container.
type Wait struct {
	Name    string        // -i: the interface; "" is the default
	Address bool          // --wait=address: and until it has an address
	Timeout time.Duration // --timeout: as in 10s or 10; 0 waits as long as it takes
}

// IsWait reports whether a command line, without the program's name, is one for
// [ParseWait].
func IsWait(args []string) bool {
	return len(args) > 0 && (args[0] == "--wait" || strings.HasPrefix(args[0], "--wait="))
}

// ParseWait reads a command line for which [IsWait] holds. [errors.Is] tells its
// errors as [ErrUsage].
func ParseWait(args []string) (Wait, error) {
	var wait Wait
	w := scan(args[1:], map[string]bool{"-i": true, "--timeout": true})
	_, state, given := strings.Cut(args[0], "=")
	wait.Address = state == "address"
	if given && !wait.Address {
		w.addf("--wait=%q is unknown: write --wait, or --wait=address", state)
	}
	if w.count(0, 0, "--wait[=address] [-i containerinterface] [--timeout 10s]") {
		wait.Name = w.name("-i")
	}
	if text, given := w.values["--timeout"]; given {
		var err error
		wait.Timeout, err = parseTimeout(text)
		w.add(err)
	}
	if err := w.err(); err != nil {
		return Wait{}, err
	}
	return wait, nil
}

// parseTimeout reads 10s, 1m30s, or a number of seconds.
func parseTimeout(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if n, failed := strconv.ParseUint(text, 10, 31); failed == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("--timeout %q is no time: write one such as 10s", text)
	}
	return d, nil
}

//go:build linux

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/ovstest"
)

// TestClassic types what docs/classic.md lists, and looks at the result.
func TestClassic(t *testing.T) { testscript.Run(t, scripts("testdata/classic/plain")) }

// TestClassicOVS has an Open vSwitch with the kernel's datapath, in the lane uml.
func TestClassicOVS(t *testing.T) {
	db := ovstest.Start(t)
	db.Standard(t)
	db.Switch(t, ovstest.Kernel, nil)
	before := db.Dump(t)
	t.Run("scripts", func(t *testing.T) { testscript.Run(t, scripts("testdata/classic/ovs")) })
	if after := db.Dump(t); after != before {
		t.Errorf("Open vSwitch before:\n%s\nafter:\n%s", before, after)
	}
}

// TestClassicDHCP has a DHCP server on the bridge lan0.
func TestClassicDHCP(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	dhcptest.Network(t)
	s := dhcptest.Dnsmasq(t, "--dhcp-option=option:router,"+dhcptest.Router)
	t.Run("scripts", func(t *testing.T) { testscript.Run(t, scripts("testdata/classic/dhcp")) })
	s.Eventually(t, "the release of everything", func(leases string) bool { return !strings.Contains(leases, " 10.77.0.") })
}

// TestClassicPrograms has the DHCP clients of the classic tool.
func TestClassicPrograms(t *testing.T) {
	for _, program := range []string{"dnsmasq", "udhcpc", "dhclient", "dhcpcd"} {
		dhcptest.Need(t, program)
	}
	dhcptest.Network(t)
	dhcptest.Dnsmasq(t, "--dhcp-option=option:router,"+dhcptest.Router)
	testscript.Run(t, scripts("testdata/classic/program"))
}

// typed runs a line of docs/classic.md as a shell would. Before the line may
// stand -in guest, which types it in that guest's network instead of the host's,
// or -until text, which interrupts it once it has said that.
func typed(ts *testscript.TestScript, neg bool, args []string) {
	line := args[len(args)-1]
	var before []string
	switch {
	case len(args) == 3 && args[0] == "-in":
		before = []string{"nsenter", "--net=/run/netns/" + args[1]}
	case len(args) == 3 && args[0] == "-until":
		before = []string{"until", "INT", args[1]}
	case len(args) != 1:
		ts.Fatalf("usage: typed [-in guest | -until text] 'line'")
	}
	words := slices.Concat(before, []string{"sh", "-c", "exec " + line})
	if err := ts.Exec(words[0], words[1:]...); (err != nil) != neg {
		ts.Fatalf("%s: %v", line, err)
	}
}

var (
	// rowOf is a row of a table with a command line in its first cell.
	rowOf = regexp.MustCompile("(?m)^\\| `(pipework [^`]*)` \\|")
	// typedAs is a line of a script that types one.
	typedAs = regexp.MustCompile("(?m)^(?:! )?typed (?:-[a-z]+ [^ ]+ )?'([^']*)'$")
)

// TestClassicIsComplete compares the lines in docs/classic.md with those that
// the scripts type.
func TestClassicIsComplete(t *testing.T) {
	doc, err := os.ReadFile("../../docs/classic.md")
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob("testdata/classic/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var typed []string
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		typed = append(typed, lines(typedAs, text)...)
	}
	rows := lines(rowOf, doc)
	if len(rows) < 40 {
		t.Errorf("only %d rows found", len(rows))
	}
	for _, row := range rows {
		if !slices.Contains(typed, row) {
			t.Errorf("no script types %s", row)
		}
	}
	for _, line := range typed {
		if !slices.Contains(rows, line) {
			t.Errorf("docs/classic.md does not list %s", line)
		}
	}
}

func lines(re *regexp.Regexp, text []byte) (found []string) {
	for _, m := range re.FindAllSubmatch(text, -1) {
		found = append(found, string(m[1]))
	}
	return found
}

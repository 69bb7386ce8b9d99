package config

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLineString(t *testing.T) {
	for _, row := range []struct {
		name string
		line Line
		want string
	}{
		{"plain", br1(func(*Line) {}), "br1 web 10.0.0.2/24"},
		{"options", br1(func(l *Line) { l.Name, l.HostName, l.Family, l.DirectPhys = "eth2", "vweb", Inet, true }), "--direct-phys br1 -i eth2 -l vweb -a 4 web 10.0.0.2/24"},
		{"not trusted", br1(func(l *Line) { l.Pin, l.Isolated = true, true }), "br1 --isolated --pin web 10.0.0.2/24"},
		{"dashes", br1(func(l *Line) { l.Guest, l.Name = "-web", "x" }), "-i x -- br1 -web 10.0.0.2/24"},
		{"gateways", br1(func(l *Line) {
			l.Addrs, l.Gateways = prefixes("fd00::2/64", "10.0.0.2/24", "10.0.0.3/24"), addrs("10.0.0.1", "fd00::1")
		}), "br1 web fd00::2/64@fd00::1,10.0.0.2/24@10.0.0.1,10.0.0.3/24"},
		{"no address", br1(func(l *Line) { l.Addrs, l.VLAN = nil, "100" }), "br1 web 0/0 @100"},
		{"dhcp", br1(func(l *Line) { l.Addrs, l.DHCP = nil, "dhcp:-f -x" }), "br1 web 'dhcp:-f -x'"},
		{"made MAC", br1(func(l *Line) { l.Unique, l.MAC, l.VLAN = "it's", uniqueMAC("it's"), "8001" }), `br1 web 10.0.0.2/24 'U:it'\''s@8001'`},
		{"MAC", br1(func(l *Line) { l.MAC = []byte{2, 0, 0, 0, 0, 10} }), "br1 web 10.0.0.2/24 02:00:00:00:00:0a"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, row.line.String()); diff != "" {
				t.Errorf("String() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	rows := goodRows()
	for _, guest := range []string{
		"a b", "it's", `"`, `\`, "$HOME", "`id`", "~", "*", "#", "a;b", "a&b", "!!", "été", "-v", "--json", "--", "'", "''", "{a,b}", "a=b", "web'",
	} {
		rows = append(rows, goodRow{name: guest, want: br1(func(l *Line) {
			l.Guest, l.Unique, l.MAC = guest, guest, uniqueMAC(guest)
		})})
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { checkRoundTrip(t, row.want) })
	}
}

// checkRoundTrip wants Parse to read l back from Args, and from
// String through a shell's splitting.
func checkRoundTrip(t *testing.T, l Line) {
	t.Helper()
	words, err := shellSplit(l.String())
	if err != nil {
		t.Fatalf("%s: %v", l, err)
	}
	if diff := cmp.Diff(l.Args(), words); diff != "" {
		t.Errorf("%s split by a shell (-want +got):\n%s", l, diff)
	}
	got, err := Parse(words)
	if err != nil {
		t.Fatalf("Parse(%q): %v", words, err)
	}
	if diff := cmp.Diff(l, got, byValue); diff != "" {
		t.Errorf("Parse(%q) (-want +got):\n%s", words, diff)
	}
}

// shellSplit splits line as a POSIX shell does, and fails where the shell would
// do more than split: outside quotes only plain characters may stand.
func shellSplit(line string) ([]string, error) {
	var words []string
	for line != "" {
		word, rest, err := shellWord(line)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
		line = strings.TrimPrefix(rest, " ")
	}
	return words, nil
}

// shellWord reads the first word of line.
func shellWord(line string) (word, rest string, err error) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == ' ':
			return word, line[i:], nil
		case c == '\'':
			end := strings.IndexByte(line[i+1:], '\'')
			if end < 0 {
				return "", "", errors.New("no closing quote")
			}
			word += line[i+1 : i+1+end]
			i += end + 1
		case c == '\\' && i+1 < len(line):
			i++
			word += line[i : i+1]
		case strings.IndexByte("\t\n|&;<>()$`\"*?[]#~{}!\\", c) >= 0 || c >= 0x80:
			return "", "", errors.New("a character stands unquoted: " + line[i:])
		default:
			word += line[i : i+1]
		}
	}
	return word, "", nil
}

// TestQuoteAgainstShell asks the real shell.
func TestQuoteAgainstShell(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh here; TestRoundTrip splits by itself")
	}
	words := []string{"", "plain", "a b", "it's", "$HOME", "`id`", `a\nb`, "*", "~", "été", "a\tb", "-n", "'", "a\nb"}
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	out, err := exec.CommandContext(t.Context(), shell, "-c", `printf '<%s>' `+strings.Join(quoted, " ")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("<"+strings.Join(words, "><")+">", string(out)); diff != "" {
		t.Errorf("sh splits (-want +got):\n%s", diff)
	}
}

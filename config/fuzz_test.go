package config

import (
	"errors"
	"strings"
	"testing"
	"unicode"
)

// FuzzParse feeds command lines whose words end at a zero byte, as in /proc's
// cmdline: none may panic, what parses must round-trip, and what does not must
// say why on one printable line.
func FuzzParse(f *testing.F) {
	for _, row := range goodRows() {
		f.Add(strings.Join(fields(row.args), "\x00"))
	}
	for _, seed := range []string{
		"", "-i", "--", "br1\x00-i=\x00web\x000/0", "br1\x00-x\x00web\x00::ffff:1.2.3.4/120", "br1\x00web\x00fe80::1%\n/64",
		"br1\x00web\x0010.0.0.2/24@10.0.0.2,fd00::1/64@@", "br1\x00web\x000/0\x00U:@", "br1\x00we\xff\x000/0\x0002-00-00-00-00-01@x",
		"br1\x00web\x000/0\x000200.0000.0001", "br1\x00web\x00fd00::1.2.3.4/64\x00U:\u2028",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		l, err := Parse(strings.Split(line, "\x00"))
		if err == nil {
			checkRoundTrip(t, l)
			return
		}
		if !errors.Is(err, ErrUsage) {
			t.Errorf("error %q is not ErrUsage", err)
		}
		if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("error %q is not one printable line", err)
		}
	})
}

package charset_test

import (
	"os"
	"os/exec"
	"testing"
	"unicode/utf8"

	"github.com/go-pipework/pipework/internal/charset"
)

func TestShown(t *testing.T) {
	for name, want := range map[string]string{
		"eth1": "eth1", "enp9s0f1.100": "enp9s0f1.100", "br-a_b@c": "br-a_b@c",
		"":                   "''",
		"a;reboot":           "'a;reboot'",
		"$(id)":              "'$(id)'",
		`a"b`:                `'a"b'`,
		`a\b`:                `$'a\\b'`,
		"a'b":                `$'a\'b'`,
		`a\'b`:               `$'a\\\'b'`,
		`a\"b`:               `$'a\\"b'`,
		"a\x1b[31m;reboot":   `$'a\x1b[31m;reboot'`,
		"ä\u202e\xff":        `$'\u00e4\u202e\xff'`,
		"#":                  "'#'",
		"a b":                "'a b'",
		"eth0.10@if7":        "eth0.10@if7",
		"`id`{1,2}":          "'`id`{1,2}'",
		"a\u200bb\U0001f600": `$'a\u200bb\U0001f600'`,
		"\ufffd":             `$'\ufffd'`,
	} {
		got := charset.Shown(name)
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
		if bash, err := exec.LookPath("bash"); err == nil && utf8.ValidString(name) {
			cmd := exec.Command(bash, "-c", "printf %s "+got)
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
			if out, err := cmd.Output(); err != nil || string(out) != name {
				t.Errorf("bash reads %s as %q, %v", got, out, err)
			}
		}
	}
}

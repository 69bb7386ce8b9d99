package charset_test

import (
	"testing"

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
		"a\u200bb\U0001f600": `$'a\u200bb\U0001f600'`,
		"\ufffd":             `$'\ufffd'`,
	} {
		if got := charset.Shown(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

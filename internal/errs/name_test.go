package errs

import (
	"os/exec"
	"testing"
)

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"eth1":              "eth1",
		"eth0.10@if7":       "eth0.10@if7",
		"":                  "''",
		"a;reboot":          "'a;reboot'",
		"$(reboot)":         "'$(reboot)'",
		"a\x1b[31m;reboot":  `$'a\x1b[31m;reboot'`,
		"it's":              `$'it\'s'`,
		`a\b`:               `$'a\\b'`,
		"\x9b1m":            `$'\x9b1m'`,
		"\u00e4":            `$'\xc3\xa4'`,
		"a\u202eb`id`{1,2}": "$'a\\xe2\\x80\\xaeb`id`{1,2}'",
	} {
		got := Name(name)
		if got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
		if bash, err := exec.LookPath("bash"); err == nil {
			if out, err := exec.Command(bash, "-c", "printf %s "+got).Output(); err != nil || string(out) != name {
				t.Errorf("bash reads %s as %q, %v", got, out, err)
			}
		}
	}
}

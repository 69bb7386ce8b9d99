package errs

import (
	"fmt"
	"strings"
)

// Name is a name that somebody in a guest may have chosen, for a command that people are told
// to type: quoted, as bash reads it, unless it has only letters, digits and a few signs.
func Name(name string) string {
	odd := func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,._-", r)
	}
	if name != "" && strings.IndexFunc(name, odd) < 0 {
		return name
	}
	var b strings.Builder
	escaped := false
	for i := range len(name) {
		switch c := name[i]; {
		case c == '\'' || c == '\\':
			b.WriteString("\\" + string(rune(c)))
			escaped = true
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
			escaped = true
		default:
			b.WriteByte(c)
		}
	}
	if escaped {
		return "$'" + b.String() + "'"
	}
	return "'" + b.String() + "'"
}

package charset

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Shown is a name that a guest may have chosen, for texts and the commands in them: as it is,
// or where a terminal or a shell would not take it for one word, quoted for a shell (with
// escapes as of bash and POSIX.1-2024, $'\x1b').
func Shown(name string) string {
	if Word(name, len(name), "_.@+-", "_.@+-=,:") {
		return name
	}
	var quoted []byte
	for i, r := range name {
		if r == utf8.RuneError && !strings.HasPrefix(name[i:], "\ufffd") { // no UTF-8
			quoted = append(quoted, strings.Trim(strconv.QuoteToASCII(name[i:i+1]), `"`)...)
			continue
		}
		c := strconv.QuoteRuneToASCII(r)
		quoted = append(quoted, c[1:len(c)-1]...)
	}
	if string(quoted) == name {
		return "'" + name + "'"
	}
	return "$'" + string(quoted) + "'"
}

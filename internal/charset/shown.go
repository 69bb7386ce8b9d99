package charset

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escaped is text with escapes, as of a Go string, in place of what does not print, but for the
// characters in allowed.
func Escaped(text, allowed string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if strings.ContainsRune(allowed, r) || unicode.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			b.WriteString(text[:n])
		} else {
			quoted := strconv.Quote(text[:n])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[n:]
	}
	return b.String()
}

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

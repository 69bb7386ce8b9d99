// Package charset checks names without regular expressions: one of those at package
// level is compiled whenever a program starts, which takes up to 10 ms.
package charset

import "strings"

// Word says whether s begins with an ASCII letter, a digit or a character of first,
// goes on with letters, digits and characters of more, and has 1 to limit bytes.
func Word(s string, limit int, first, more string) bool {
	if s == "" || len(s) > limit || !Alnum(s[0]) && strings.IndexByte(first, s[0]) < 0 {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !Alnum(s[i]) && strings.IndexByte(more, s[i]) < 0 {
			return false
		}
	}
	return true
}

// Alnum says whether c is an ASCII letter or digit.
func Alnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// Hex says whether c is a digit or one of a to f.
func Hex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

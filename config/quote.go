package config

import "strings"

// String returns l as one line for a POSIX shell, to stand after the program's
// name: the words of [Line.Args], quoted where the shell would change them.
func (l Line) String() string {
	words := l.Args()
	for i, word := range words {
		words[i] = quote(word)
	}
	return strings.Join(words, " ")
}

// quote returns word as a POSIX shell reads it unchanged.
func quote(word string) string {
	if word != "" && !strings.ContainsFunc(word, special) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// special reports whether a shell might not take r as it stands.
func special(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-_./:,@+=", r)
}

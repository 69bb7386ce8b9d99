package charset

import (
	"fmt"
	"io"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// EscapedJSON is JSON that means the same, with escapes in place of what does not print.
// Package encoding/json leaves DEL, the C1 control characters (U+0080 to U+009F) and those that
// turn the direction of text as they are.
func EscapedJSON(text []byte) []byte {
	b := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r == '\n' || unicode.IsPrint(r) {
			b = utf8.AppendRune(b, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			b = fmt.Appendf(b, `\u%04x`, unit)
		}
	}
	return b
}

// Escaping is a writer that writes to w what prints of other programs' output, and escapes in
// place of the rest, but for ends of lines and tabs. A character may come in pieces.
func Escaping(w io.Writer) io.Writer { return &escaping{to: w} }

type escaping struct {
	mu   sync.Mutex
	to   io.Writer
	rest []byte // the beginning of a character
}

func (p *escaping) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := append(p.rest, b...)
	whole := len(text)
	for i := max(0, whole-utf8.UTFMax+1); i < whole; i++ {
		if utf8.RuneStart(text[i]) && !utf8.FullRune(text[i:]) {
			whole = i
		}
	}
	p.rest = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(p.to, Escaped(string(text[:whole]), "\n\t")); err != nil {
		return 0, err
	}
	return len(b), nil
}

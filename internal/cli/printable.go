package cli

import (
	"fmt"
	"io"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-pipework/pipework/internal/charset"
)

// Printable is text with escapes in place of what does not print, but for ends of lines: names
// that guests have chosen, and words of servers, may change the terminal, or what it seems to say.
func Printable(text string) string { return charset.Escaped(text, "\n") }

// Line is Printable for what is to stay on one line.
func Line(text string) string { return charset.Escaped(text, "") }

// printableJSON is JSON that means the same, with escapes in place of what does not print.
// Package encoding/json leaves DEL, the C1 control characters (U+0080 to U+009F) and those that
// turn the direction of text as they are.
func printableJSON(text []byte) []byte {
	b := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch high, low := utf16.EncodeRune(r); {
		case r == '\n' || unicode.IsPrint(r):
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return b
}

// PrintableTo is a writer that writes to w what is printable of other programs' output, and
// escapes in place of the rest, but for ends of lines and tabs. A character may come in pieces.
func PrintableTo(w io.Writer) io.Writer { return &printableWriter{to: w} }

type printableWriter struct {
	mu   sync.Mutex
	to   io.Writer
	rest []byte // the beginning of a character
}

func (p *printableWriter) Write(b []byte) (int, error) {
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
	if _, err := io.WriteString(p.to, charset.Escaped(string(text[:whole]), "\n\t")); err != nil {
		return 0, err
	}
	return len(b), nil
}

package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/go-pipework/pipework/internal/charset"
)

// A Printer prints what a call returned: as JSON where that was asked for.
type Printer struct {
	Out, Err io.Writer
	JSON     bool
}

// Show prints v as JSON, or else the lines.
func (p Printer) Show(v any, lines ...string) error {
	if p.JSON {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		_, err = p.Out.Write(append(charset.EscapedJSON(text), '\n'))
		return err
	}
	for _, text := range lines {
		if _, err := fmt.Fprintln(p.Out, Line(text)); err != nil {
			return err
		}
	}
	return nil
}

// Line is text with escapes in place of what does not print: names that guests have chosen, and
// words of servers, may change the terminal, or what it seems to say.
func Line(text string) string { return charset.Escaped(text, "") }

// lines are the texts of all; where there are none, the text none, or with "" nothing.
func lines[T any](all []T, none string, text func(T) string) (texts []string) {
	for _, v := range all {
		texts = append(texts, text(v))
	}
	if len(all) == 0 && none != "" {
		return []string{none}
	}
	return texts
}

// failed is nil where none of all is wrong; otherwise its format tells how many are, of how many.
func failed[T any](all []T, wrong func(T) bool, format string) error {
	n := 0
	for _, v := range all {
		if wrong(v) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf(format, n, len(all))
}

// Warn tells people of warnings.
func (p Printer) Warn(warnings ...string) {
	for _, text := range warnings {
		fmt.Fprintln(p.Err, "pipework: warning:", Line(text))
	}
}

package cli

import (
	"encoding/json"
	"fmt"
	"io"
)

// A Printer prints what a call returned: as JSON where that was asked for.
type Printer struct {
	Out, Err io.Writer
	JSON     bool
}

// Show prints v as JSON, or else the text.
func (p Printer) Show(v any, format string, args ...any) error {
	if !p.JSON {
		_, err := io.WriteString(p.Out, Printable(fmt.Sprintf(format, args...)))
		return err
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = p.Out.Write(append(printableJSON(text), '\n'))
	return err
}

// Warn tells people of warnings.
func (p Printer) Warn(warnings ...string) { Warn(p.Err, warnings...) }

// Warn tells people of warnings.
func Warn(w io.Writer, warnings ...string) {
	for _, text := range warnings {
		fmt.Fprintln(w, "pipework: warning:", Line(text))
	}
}

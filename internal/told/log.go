package told

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// Log is a log of which people are told what is a warning, or worse: a line each.
func Log(tell func(line string)) *slog.Logger { return slog.New(warnings{tell: tell}) }

// warnings is its Handler.
type warnings struct {
	tell  func(line string)
	about string // what With added
}

var _ slog.Handler = warnings{}

// Enabled says whether it is a warning, or worse.
func (warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle tells one line.
func (h warnings) Handle(_ context.Context, r slog.Record) error {
	text := r.Message + h.about
	r.Attrs(func(a slog.Attr) bool {
		text += attr(a)
		return true
	})
	h.tell(strings.ReplaceAll(text, "\n", "; "))
	return nil
}

// WithAttrs is the Handler that adds these.
func (h warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.about += attr(a)
	}
	return h
}

// WithGroup is the Handler: a line has no groups.
func (h warnings) WithGroup(string) slog.Handler { return h }

// attr is what comes after the message.
func attr(a slog.Attr) string {
	if a.Key == "error" {
		return ": " + a.Value.String()
	}
	return fmt.Sprintf(", %s %s", a.Key, a.Value)
}

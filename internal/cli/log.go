package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/go-pipework/pipework/internal/charset"
)

// Logger is the log of a verb: of warnings, or with -v of each step.
func (o *Options) Logger() *slog.Logger {
	if o.Verbose {
		return Log(o.Err, slog.LevelDebug)
	}
	return slog.New(warnings{Printer: o.Printer})
}

// WatchLoggers are the logs of steps, and of what is done.
func (o *Options) WatchLoggers() (steps, done *slog.Logger) {
	if o.Verbose {
		return Log(o.Err, slog.LevelDebug), Log(o.Err, slog.LevelDebug)
	}
	return Log(o.Err, slog.LevelWarn), Log(o.Err, slog.LevelInfo)
}

// Log is a log in lines of key=value that tells what is of this level, or above.
func Log(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(charset.Escaping(w), &slog.HandlerOptions{Level: level}))
}

// warnings is the Handler of a log that prints what is a warning, or worse, as Warn does.
type warnings struct {
	Printer
	about string // what With added
}

var _ slog.Handler = warnings{}

// Enabled says whether it is a warning, or worse.
func (warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle prints one line.
func (h warnings) Handle(_ context.Context, r slog.Record) error {
	text := r.Message + h.about
	r.Attrs(func(a slog.Attr) bool {
		text += attr(a)
		return true
	})
	h.Warn(strings.ReplaceAll(text, "\n", "; "))
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

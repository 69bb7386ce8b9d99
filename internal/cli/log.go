package cli

import (
	"log/slog"

	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/told"
)

// Logger is the log of a verb: of warnings, or with -v of each step.
func (o *Options) Logger() *slog.Logger {
	if o.Verbose {
		return o.log(slog.LevelDebug)
	}
	return told.Log(func(text string) { o.Warn(text) })
}

// WatchLoggers are the logs of steps, and of what is done.
func (o *Options) WatchLoggers() (steps, done *slog.Logger) {
	return o.log(slog.LevelWarn), o.log(slog.LevelInfo)
}

// log is one in lines of key=value that tells what is of this level, or above; with -v all.
func (o *Options) log(level slog.Level) *slog.Logger {
	if o.Verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(charset.Escaping(o.Err), &slog.HandlerOptions{Level: level}))
}

package cli

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// TestWarnings has the log print warnings and worse, one line each, and nothing a guest
// could change the terminal by.
func TestWarnings(t *testing.T) {
	var out strings.Builder
	log := slog.New(warnings{Printer: Printer{Err: &out}})
	log.Info("not told")
	log.Debug("nor this")
	log.Warn("what a guest calls \x1b[31m", "guest", "web")
	log.With("guest", "db").Error("collect", "error", errors.Join(errors.New("this"), errors.New("that")))
	want := "pipework: warning: what a guest calls \\x1b[31m, guest web\npipework: warning: collect, guest db: this; that\n"
	if got := out.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

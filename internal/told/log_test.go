package told

import (
	"errors"
	"strings"
	"testing"
)

// TestWarnings has people told warnings and worse, one line each.
func TestWarnings(t *testing.T) {
	var lines []string
	log := Log(func(line string) { lines = append(lines, line) })
	log.Info("not told")
	log.Debug("nor this")
	log.Warn("what a guest calls \x1b[31m", "guest", "web")
	log.With("guest", "db").Error("collect", "error", errors.Join(errors.New("this"), errors.New("that")))
	want := "what a guest calls \x1b[31m, guest web\ncollect, guest db: this; that"
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

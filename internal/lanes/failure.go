//go:build linux

package lanes

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"

	"github.com/go-pipework/pipework/internal/lanes/guest"
)

// A GuestError says that a guest ended without its program's exit status.
type GuestError struct {
	Err     error  // why, as far as it is known
	Console string // the last lines of the guest's console
}

func (e *GuestError) Error() string { return e.Err.Error() }
func (e *GuestError) Unwrap() error { return e.Err }

var errNoResult = errors.New("the guest ended without a result; its console may say why")

// failure explains why there is no status: for the reason cause, if there is one, or
// for what guest and console tell.
func (b box) failure(cause error) error {
	failure := &GuestError{Err: cause}
	if text, err := os.ReadFile(b.console()); err == nil {
		failure.Console = tail(text, 60)
	}
	if cause != nil {
		return failure
	}
	failure.Err = errNoResult
	text, err := os.ReadFile(filepath.Join(b.share(), guest.FailureFile))
	if err == nil {
		failure.Err = errors.New("guest: " + string(bytes.TrimSpace(text)))
	}
	return failure
}

// tail is the last n lines of text.
func tail(text []byte, n int) string {
	text = bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r"), nil))
	lines := bytes.Split(text, []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}

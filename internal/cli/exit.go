package cli

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"

	"github.com/go-pipework/pipework/internal/option"
)

// Exit tells people of an error, unless a program has done so itself, and returns the
// status to end with: 0 without an error, 2 for wrong usage, else 1 or the program's.
func Exit(w io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if ended, ok := errors.AsType[status](err); ok {
		return int(ended)
	}
	if errors.Is(err, option.ErrUsage) {
		verb := "pipework"
		if of, is := errors.AsType[misused](err); is {
			verb = of.verb
		}
		fmt.Fprintf(w, "pipework: %s (see %s --help)\n", Line(err.Error()), verb)
		return 2
	}
	fmt.Fprintf(w, "pipework: %s\n", Line(strings.ReplaceAll(err.Error(), "\n", "; ")))
	return 1
}

// A status is the exit status of a program that has said why itself.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// statusOf is what a shell would tell.
func statusOf(exit *exec.ExitError) status {
	if ended, ok := exit.Sys().(syscall.WaitStatus); ok && ended.Signaled() {
		return status(128 + int(ended.Signal()))
	}
	return status(exit.ExitCode())
}

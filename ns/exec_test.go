//go:build linux

package ns_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
)

func TestExec(t *testing.T) {
	_, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	var out, warn bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "readlink /proc/self/ns/net; echo bad >&2; exit 3")
	cmd.Stdout, cmd.Stderr = &out, &warn
	err := g.Exec(t.Context(), cmd)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 3 {
		t.Errorf("exit status 3 is %v", err)
	}
	if out.String() != g.Inode().String()+"\n" || warn.String() != "bad\n" {
		t.Errorf("the program runs in %q, the guest is %v; it says %q", &out, g.Inode(), &warn)
	}
	if err := g.Exec(t.Context(), exec.CommandContext(t.Context(), "no-such-program")); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("no such program: %v", err)
	}
	world.Unchanged(t)
}

// TestStart leaves a program running while no thread of this one is inside.
func TestStart(t *testing.T) {
	_, g := nstest.Guest(t)
	world := nstest.Observe(t, g.Handle)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "sleep", "1000")
	if err := g.Start(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	cancel()
	if err := cmd.Wait(); !strings.Contains(err.Error(), "killed") || time.Since(began) > testwait.Patience {
		t.Errorf("a program whose context ended: %v", err)
	}
	ctx = fault.With(t.Context(), func(step string) error {
		if step == "start program" {
			return fs.ErrInvalid
		}
		return nil
	})
	if err := g.Start(ctx, exec.CommandContext(ctx, "true")); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	world.Unchanged(t)
}

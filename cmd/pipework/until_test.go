//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/go-pipework/pipework/internal/testwait"
)

// until is a program for scripts, "until SIGNAL TEXT PROGRAM [ARGUMENT...]": it runs
// the program, sends it the signal (INT or TERM) once its output has the text, and
// ends with its status.
func until() {
	signal := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[os.Args[1]]
	cmd := exec.Command(os.Args[3], os.Args[4:]...)
	tell := sync.OnceFunc(func() { _ = cmd.Process.Signal(signal) })
	cmd.Stdout = &watched{to: os.Stdout, text: os.Args[2], tell: tell}
	cmd.Stderr = &watched{to: os.Stderr, text: os.Args[2], tell: tell}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	time.AfterFunc(testwait.Patience, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		os.Exit(code)
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", os.Args[3], cmd.ProcessState)
	os.Exit(1)
}

// watched passes on what is written to it, and calls tell when that has the text.
type watched struct {
	to   *os.File
	text string
	tell func()
	seen []byte
}

func (w *watched) Write(b []byte) (int, error) {
	w.seen = append(w.seen, b...)
	n, err := w.to.Write(b)
	if bytes.Contains(w.seen, []byte(w.text)) {
		w.tell()
	}
	return n, err
}

// says waits until a file, into which a program in the background writes, has a
// text.
func says(ts *testscript.TestScript, _ bool, args []string) {
	path, text := ts.MkAbs(args[0]), args[1]
	eventually(ts, path+" has "+text, func() bool {
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			ts.Check(err)
		}
		return strings.Contains(string(b), text)
	})
}

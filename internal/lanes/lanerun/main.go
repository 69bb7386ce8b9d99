//go:build linux

// Lanerun runs a program, as a rule a Go test binary, in a small Linux guest. Package
// lanes explains the guests.
//
//	lanerun LANE [-timeout 2m] [-memory 512] [--] PROGRAM [ARGUMENT...]
//	lanerun check LANE      says whether the lane can run here, or what to install
//	lanerun packages LANE   prints the Debian packages the lane needs
//	lanerun prepare LANE    makes what the lane keeps in its cache
//
// Its exit status is the program's, 125 when there is none to report, and 2 when
// lanerun was called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/go-pipework/pipework/internal/lanes"
	"github.com/go-pipework/pipework/internal/lanes/guest"
)

const (
	exitMissing = 1
	exitUsage   = 2
	exitFailure = 125
)

var errUsage = errors.New(`usage:
	lanerun uml|qemu [-timeout 2m] [-memory 512] [--] PROGRAM [ARGUMENT...]
	lanerun check|packages|prepare uml|qemu`)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "lanerun:", err)
	}
	if failure := (*lanes.GuestError)(nil); errors.As(err, &failure) && failure.Console != "" {
		fmt.Fprintf(os.Stderr, "the guest's console ends:\n%s\n", failure.Console)
	}
	os.Exit(status)
}

func run(args []string) (int, error) {
	if len(args) == 0 {
		return exitUsage, errUsage
	}
	switch args[0] {
	case "init":
		return exitFailure, guest.Init()
	case lanes.GuardVerb:
		return exitFailure, lanes.Guard(os.Stdin, args[1:])
	case "check", "packages", "prepare":
		return ask(args[0], args[1:])
	}
	lane, err := lanes.ByName(args[0])
	if err != nil {
		return exitUsage, err
	}
	return runProgram(lane, args[1:])
}

// ask does the verbs that take a lane and nothing else.
func ask(verb string, args []string) (int, error) {
	if len(args) != 1 {
		return exitUsage, errUsage
	}
	lane, err := lanes.ByName(args[0])
	if err != nil {
		return exitUsage, err
	}
	switch verb {
	case "packages":
		fmt.Println(strings.Join(lane.Packages(), " "))
		return 0, nil
	case "prepare":
		return answer(lane.Prepare(interruptible()))
	}
	if err := lane.Check(); err != nil {
		return exitMissing, err
	}
	fmt.Println("ok")
	return 0, nil
}

func answer(err error) (int, error) {
	if err != nil {
		return exitFailure, err
	}
	return 0, nil
}

func runProgram(lane lanes.Lane, args []string) (int, error) {
	cmd := lanes.Command{Stdout: os.Stdout, Stderr: os.Stderr}
	flags := flag.NewFlagSet("lanerun", flag.ContinueOnError)
	flags.DurationVar(&cmd.Timeout, "timeout", 0, "from boot to end (default 2m)")
	flags.IntVar(&cmd.Memory, "memory", 0, "of the guest, in megabytes (default 512)")
	if err := flags.Parse(args); err != nil {
		return exitUsage, err
	}
	cmd.Args = flags.Args()
	status, err := lane.Run(interruptible(), cmd)
	if err != nil {
		return exitFailure, err
	}
	return status, nil
}

// interruptible is a context that ends with a signal. SIGQUIT is what go test sends a
// test that takes too long.
func interruptible() context.Context {
	ctx, _ := signal.NotifyContext(context.Background(),
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	return ctx
}

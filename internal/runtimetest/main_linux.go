package runtimetest

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
)

// stageEnv says how far the program has come: it is started three times.
const stageEnv = "PIPEWORK_RUNTIMETEST"

// Main runs a package's tests on a machine of their own; call it from TestMain.
func Main(m *testing.M) {
	switch os.Getenv(stageEnv) {
	case "init":
		exit(initMain())
	case "test":
		sandbox.GuestMain()
		nstest.Chosen()
		runtime.LockOSThread() // so that no thread left in another namespace is the main one
		os.Exit(m.Run())
	}
	nstest.Split(m, nil)
	if !sandbox.IsRoot() {
		nstest.Main(m)
	}
	exit(outside())
}

func exit(status int, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "runtimetest:", err)
		os.Exit(1)
	}
	os.Exit(status)
}

// again is this program at its next stage.
func again(stage string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageEnv+"="+stage, "PIPEWORK_STATE=/run/pipework") // /run is the machine's own
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// outside starts the first process of the new machine, and cleans up after it.
func outside() (int, error) {
	runtime.LockOSThread() // Pdeathsig is sent when the thread ends
	cmd := again("init")
	group := fmt.Sprint(groupPrefix, os.Getpid())
	cmd.Env = append(cmd.Env, groupEnv+"="+group)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	removeStale()
	defer removeGroups(group)
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // the tests hear it too, and end
	if err := cmd.Run(); cmd.ProcessState == nil {
		return 1, err
	}
	return max(cmd.ProcessState.ExitCode(), 0) | btoi(cmd.ProcessState.ExitCode() < 0), nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// initMain is the first process: it furnishes the machine, runs the tests, and
// reaps whatever ends meanwhile. All processes end with it.
func initMain() (int, error) {
	runtime.LockOSThread()
	if err := furnish(os.Getenv(groupEnv)); err != nil {
		return 1, err
	}
	cmd := again("test")
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 1, err
		case pid == cmd.Process.Pid && status.Exited():
			return status.ExitStatus(), nil
		case pid == cmd.Process.Pid:
			return 1, fmt.Errorf("the tests were ended by signal %d", status.Signal())
		}
	}
}

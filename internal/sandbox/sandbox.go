//go:build linux

// Package sandbox runs a program in user, network and mount namespaces of its
// own, where it is root and can touch nothing of the machine's, and makes
// throwaway guests there. Tests stand on it.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// inside is the environment variable that tells a re-executed program so.
const inside = "PIPEWORK_SANDBOX"

// Enter runs the program again, with the same arguments, in namespaces of its
// own. In that second process it returns nil; in the first it ends the program
// with the second's exit status. An error says why this machine does not permit
// it. It must be called from the main goroutine, which it keeps on the main
// thread: so that no thread with another namespace, left to end, is that one,
// which cannot end. Needs no privilege. In a lane (see internal/lanes), where the
// whole machine is a throwaway, it stays in the machine's own namespaces: some
// devices, such as InfiniBand adapters, are to be had only there.
func Enter() error {
	err := enter(&syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	})
	if err != nil && !entered() {
		return fmt.Errorf("make a user namespace: %w (%s)", err, refusal())
	}
	return err
}

// EnterAsRoot is [Enter] without a user namespace: the program stays the
// machine's root, who may open devices such as /dev/net/tun. Needs
// CAP_SYS_ADMIN.
func EnterAsRoot() error {
	return enter(&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS})
}

// IsRoot says whether the program is the machine's root, not only that of a user
// namespace.
func IsRoot() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	ids := strings.Fields(string(text))
	return err == nil && os.Getuid() == 0 && slices.Equal(ids, []string{"0", "0", "4294967295"})
}

func entered() bool { return os.Getenv(inside) != "" || os.Getenv("PIPEWORK_LANE") != "" }

func enter(attr *syscall.SysProcAttr) error {
	if entered() {
		runtime.LockOSThread()
		return furnish()
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	// Root's programs, such as ip and tc, are not where an ordinary user looks for some.
	cmd.Env = append(os.Environ(), inside+"=1", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	attr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr = attr
	runtime.LockOSThread() // Pdeathsig is sent when the thread ends
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
	if err == nil {
		os.Exit(0)
	}
	return err
}

// refusal guesses which setting forbids user namespaces.
func refusal() string {
	for _, s := range []struct{ path, bad, mend string }{
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1 permits it"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0 permits it"},
		{"/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=1000 permits it"},
	} {
		if text, err := os.ReadFile(s.path); err == nil && len(text) > 0 && string(text[:1]) == s.bad {
			return s.mend
		}
	}
	return "the kernel lacks CONFIG_USER_NS, or a container's seccomp filter forbids it"
}

// furnish gives the sandbox a private /run, for named namespaces, and loopback.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount a private /run: %w", err)
	}
	// As ip-netns(8) has it: where a name is removed, no process in another mount namespace
	// keeps what it named.
	if err := unix.Mount("", "/run", "", unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share /run: %w", err)
	}
	if err := HideOpenVSwitch(); err != nil {
		return err
	}
	// All: the workers of a fuzz test share one sandbox.
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	return StartNetwork()
}

// Namespace makes a network namespace called name, as ip-netns(8) would, with
// loopback up, and returns a function that removes it. It is found by
// ns.Named(name). Only for a sandbox.
func Namespace(name string) (remove func() error, err error) {
	path := "/run/netns/" + name
	if err := os.WriteFile(path, nil, 0o444); err != nil {
		return nil, err
	}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends in the new namespace
		made <- unshareTo(path)
	}()
	if err := <-made; err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return func() error {
		return errors.Join(unix.Unmount(path, unix.MNT_DETACH), os.Remove(path))
	}, nil
}

func unshareTo(path string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	if err := StartNetwork(); err != nil {
		return err
	}
	if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("name a network namespace: %w", err)
	}
	return nil
}

// Open opens the named namespace.
func Open(name string) (*ns.Guest, error) {
	return ns.Named(name).Open(context.Background())
}

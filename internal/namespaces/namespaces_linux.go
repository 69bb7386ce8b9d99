// Package namespaces finds the network namespaces of this machine.
package namespaces

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/ns"
)

// Every is one target for every namespace that a process is in, and for every
// named one. Namespaces are told apart by what /proc says, which saves opening
// each process's.
func Every() []ns.Target {
	var targets []ns.Target
	seen := map[string]bool{}
	for _, pid := range process.All() {
		inode, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		if errors.Is(err, fs.ErrNotExist) || seen[inode] && err == nil {
			continue
		}
		seen[inode] = true
		targets = append(targets, ns.PID(pid))
	}
	named, _ := filepath.Glob("/run/netns/*")
	for _, path := range named {
		targets = append(targets, ns.Named(filepath.Base(path)))
	}
	return targets
}

// All yields Every, and then, to who goes on, one target for every namespace that has no more
// than a thread in it, or that a process or thread holds by an open file alone, as far as /proc
// tells: a guest can hide an interface there. These take a look at every open file.
func All() iter.Seq[ns.Target] {
	return func(yield func(ns.Target) bool) {
		for _, t := range Every() {
			if !yield(t) {
				return
			}
		}
		seen := map[string]bool{}
		for _, pid := range process.All() {
			if inode, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); err == nil {
				seen[inode] = true
			}
		}
		for _, pid := range process.All() {
			for path := range hidden(pid) {
				inode, err := os.Readlink(path)
				if err != nil || !strings.HasPrefix(inode, "net:[") || seen[inode] {
					continue
				}
				seen[inode] = true
				if !yield(ns.Path(path)) {
					return
				}
			}
		}
	}
}

// hidden yields the paths by which the process's threads may have namespaces. Of a thread
// whose namespace we may not read, we may read no open file either: both ask for
// PTRACE_MODE_READ_FSCREDS (proc_ns_readlink and proc_fd_access_allowed in the kernel's fs/proc).
func hidden(pid int) iter.Seq[string] {
	return func(yield func(string) bool) {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
		for _, thread := range threads {
			if _, err := os.Readlink(thread + "/ns/net"); errors.Is(err, fs.ErrPermission) {
				continue
			}
			if !yield(thread + "/ns/net") {
				return
			}
			if tid, _ := strconv.Atoi(filepath.Base(thread)); tid != pid && sharesFiles(pid, tid) {
				continue
			}
			files, _ := os.ReadDir(thread + "/fd")
			for _, f := range files {
				if !yield(thread + "/fd/" + f.Name()) {
					return
				}
			}
		}
	}
}

// sharesFiles says whether two threads are known to have the same open files.
func sharesFiles(a, b int) bool {
	const files = 2 // KCMP_FILES, include/uapi/linux/kcmp.h
	same, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), files, 0, 0, 0)
	return errno == 0 && same == 0
}

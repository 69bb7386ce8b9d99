// Package namespaces finds the network namespaces of this machine.
package namespaces

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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

// Held is one target for every namespace that a process holds by an open file alone, as far
// as it is told by /proc: a guest can hide an interface there.
func Held() []ns.Target {
	var targets []ns.Target
	seen := map[string]bool{}
	for _, pid := range process.All() {
		if inode, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); err == nil {
			seen[inode] = true
		}
	}
	for _, pid := range process.All() {
		dir := fmt.Sprintf("/proc/%d/fd/", pid)
		files, _ := os.ReadDir(dir)
		for _, f := range files {
			inode, err := os.Readlink(dir + f.Name())
			if err == nil && strings.HasPrefix(inode, "net:[") && !seen[inode] {
				seen[inode] = true
				targets = append(targets, ns.Path(dir+f.Name()))
			}
		}
	}
	return targets
}

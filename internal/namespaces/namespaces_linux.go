// Package namespaces finds the network namespaces of this machine.
package namespaces

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/go-pipework/pipework/ns"
)

// Every is one target for every namespace that a process is in, and for every
// named one. Namespaces are told apart by what /proc says, which saves opening
// each process's.
func Every() []ns.Target {
	var targets []ns.Target
	seen := map[string]bool{}
	procs, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, path := range procs {
		inode, err := os.Readlink(path)
		if seen[inode] && err == nil {
			continue
		}
		seen[inode] = true
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		targets = append(targets, ns.PID(pid))
	}
	named, _ := filepath.Glob("/run/netns/*")
	for _, path := range named {
		targets = append(targets, ns.Named(filepath.Base(path)))
	}
	return targets
}

// Package namespaces finds the network namespaces of this machine.
package namespaces

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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

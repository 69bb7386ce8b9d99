package pipework

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// warnOfNetwork says that bridges are made where they end with this process's container.
func (j *job) warnOfNetwork() {
	if network := fmt.Sprintf("net:[%d]", j.host.Inode().Ino); ownNetwork("/proc", "/", network) {
		j.port.Warn("this process sees the host's processes and has a network of its own: what is made here is not on the host, and ends with this container; run it in the host's network (--network=host)")
	}
}

// ownNetwork says whether this process runs in a container that sees the host's processes
// (docker run --pid=host), and has files and this network of its own. A namespace of ip netns
// has the host's files.
func ownNetwork(proc, root, network string) bool {
	var host, own unix.Stat_t
	if unix.Stat(proc+"/1/root", &host) != nil || unix.Stat(root, &own) != nil || host.Dev == own.Dev && host.Ino == own.Ino {
		return false
	}
	theirs, err := os.Readlink(proc + "/1/ns/net")
	if err != nil {
		return false
	}
	ours, err := os.Readlink(proc + "/thread-self/ns/net")
	return err == nil && ours == network && ours != theirs
}

package pipework

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// warnOfContainer says what this process's container lacks of the host's: with a network
// of its own, bridges are made where they end with it.
func (i *item) warnOfContainer() {
	network := fmt.Sprintf("net:[%d]", i.host.Inode().Ino)
	switch own := ownOfContainer("/proc", "/", network); {
	case own == "network":
		i.port.Warn("this process sees the host's processes and has a network of its own: what is made here is not on the host, and ends with this container; run it in the host's network (--network=host)")
	case own == "/run" && os.Geteuid() == 0:
		i.port.Warn("this container has a /run of its own: pipework in it and on the host do not wait for each other, and what a NIC was is forgotten with it; give it the host's (-v /run:/run)")
	}
}

// ownOfContainer tells what this process has of its own, if it runs in a container that sees the
// host's processes (docker run --pid=host): this "network", or with the host's network "/run".
// A namespace of ip netns has the host's files.
func ownOfContainer(proc, root, network string) string {
	if !differ(proc+"/1/root", root) {
		return ""
	}
	theirs, err := os.Readlink(proc + "/1/ns/net")
	if err != nil {
		return ""
	}
	ours, err := os.Readlink(proc + "/thread-self/ns/net")
	switch {
	case err != nil || ours != network:
	case ours != theirs:
		return "network"
	case differ(proc+"/1/root/run", root+"/run"):
		return "/run"
	}
	return ""
}

// differ says whether two directories that can be seen are not the same.
func differ(one, other string) bool {
	var a, b unix.Stat_t
	return unix.Stat(one, &a) == nil && unix.Stat(other, &b) == nil && (a.Dev != b.Dev || a.Ino != b.Ino)
}

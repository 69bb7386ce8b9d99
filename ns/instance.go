package ns

// An Instance tells one network namespace from all others that were since the machine
// booted, and before: the kernel uses an inode's number again. As a Target it is the
// namespace if that lives on, found by whatever keeps it: processes, mounts, open files.
// Its text is for people alone. Needs CAP_SYS_PTRACE to look at others' processes.
type Instance struct {
	// Boot is /proc/sys/kernel/random/boot_id.
	Boot  string `json:"boot"`
	Inode Inode  `json:"inode"`
	// Cookie is SO_NETNS_COOKIE, which no other namespace has until the next boot; 0
	// before Linux 5.14.
	Cookie uint64 `json:"cookie"`
	// NSID is what the host's namespace calls it; -1: it does not.
	NSID int `json:"nsid"`
}

var _ Target = Instance{}

// Proven says that it is known well enough to tell it from all others.
func (i Instance) Proven() bool { return i.Boot != "" && i.Cookie != 0 }

// String prints the namespace as /proc does.
func (i Instance) String() string { return i.Inode.String() }

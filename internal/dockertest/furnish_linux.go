package dockertest

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/sandbox"
)

// A mount is one call of mount(2).
type mount struct {
	source, target, fstype string
	flags                  uintptr
	data                   string
}

func mountAll(mounts ...mount) error {
	for _, m := range mounts {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.source, m.target, m.fstype, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.source, m.target, err)
		}
	}
	return nil
}

// furnish makes this process's mount and network namespace, which must be new,
// a host for the engine: nothing that happens in /run or /etc, nor in a
// directory that docker makes by default, is seen outside.
func furnish() error {
	err := mountAll(
		mount{"none", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		mount{"run", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
	)
	if err != nil {
		return err
	}
	if err := ownEtc(); err != nil {
		return err
	}
	if err := ownSys(); err != nil {
		return err
	}
	if err := sandbox.HideOpenVSwitch(); err != nil {
		return err
	}
	return sandbox.StartNetwork()
}

// ownEtc lets writes to /etc end in memory: dockerd makes /etc/docker.
func ownEtc() error {
	for _, dir := range [...]string{"/run/etc/upper", "/run/etc/work"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return mountAll(mount{"etc", "/etc", "overlay", 0, "lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work"})
}

// ownSys mounts a /sys that shows this network namespace's interfaces, and the
// machine's control groups, of whichever version, in their place under it. A
// machine that has none mounted gets version 2.
func ownSys() error {
	const groups, aside = "/sys/fs/cgroup", "/run/cgroup"
	var st unix.Statfs_t
	if err := unix.Statfs(groups, &st); err != nil {
		return fmt.Errorf("this kernel has no control groups: %w", err)
	}
	sys := mount{"sysfs", "/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""}
	if st.Type == unix.SYSFS_MAGIC {
		return mountAll(sys, mount{"cgroup2", groups, "cgroup2", 0, ""})
	}
	return mountAll(
		mount{groups, aside, "", unix.MS_BIND | unix.MS_REC, ""},
		sys,
		mount{aside, groups, "", unix.MS_MOVE, ""},
	)
}

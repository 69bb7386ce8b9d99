package runtimetest

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/sandbox"
)

// private are the directories that the machine has for itself, empty.
var private = [...]string{"/run", "/var/lib/lxc", "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/cache/lxc"}

// furnish makes this process's new namespaces a machine.
func furnish(group string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	groups, err := enterGroups(group)
	if err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make a control group namespace: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := mountSys(groups); err != nil {
		return err
	}
	for _, dir := range private {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=1777"); err != nil {
			return fmt.Errorf("mount a private %s: %w", dir, err)
		}
	}
	if err := sandbox.HideOpenVSwitch(); err != nil {
		return err
	}
	for _, dir := range []string{"/run/netns", "/run/lock", "/run/user", "/run/dbus"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return sandbox.StartNetwork()
}

// mountSys mounts a /sys that shows this network namespace, and in it the control
// groups where they were, each showing its namespace's part as the whole.
func mountSys(groups []hierarchy) error {
	if err := unix.Unmount("/sys", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount /sys: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	for i, g := range groups {
		if i == 0 && g.dir != "/sys/fs/cgroup" {
			if err := unix.Mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "mode=755"); err != nil {
				return fmt.Errorf("mount /sys/fs/cgroup: %w", err)
			}
		}
		if err := os.MkdirAll(g.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", g.dir, g.fstype, 0, g.options); err != nil {
			return fmt.Errorf("mount %s (%s): %w", g.dir, g.options, err)
		}
	}
	return nil
}

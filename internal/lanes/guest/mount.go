//go:build linux

package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Where things are in the initramfs.
const (
	shareDir = "/share"
	hostDir  = "/host"  // the host's root, read-only
	layerDir = "/layer" // a tmpfs with what the guest changes
	rootDir  = "/root"  // hostDir under layerDir: the root to be
)

type mount struct {
	source, target, fstype string
	flags                  uintptr
	data                   string
}

// kernelMounts come first; the new root takes them over.
var kernelMounts = []mount{
	{"proc", "/proc", "proc", 0, ""},
	{"sysfs", "/sys", "sysfs", 0, ""},
	{"devtmpfs", "/dev", "devtmpfs", 0, ""},
}

// rootMounts are made in the new root.
var rootMounts = []mount{
	{"run", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
	{"netns", "/run/netns", "tmpfs", 0, "mode=755"},
	{"lock", "/run/lock", "tmpfs", 0, "mode=1777"},
	{"devpts", "/dev/pts", "devpts", 0, "mode=620,ptmxmode=666"},
	{"shm", "/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	{"cgroup2", "/sys/fs/cgroup", "cgroup2", 0, ""},
}

func (m mount) make() error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.source, m.target, m.fstype, m.flags, m.data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.fstype, m.target, err)
	}
	return nil
}

func mountAll(mounts []mount) error {
	for _, m := range mounts {
		if err := m.make(); err != nil {
			return err
		}
	}
	return nil
}

// mountShare mounts what the host shares: "hostfs:/path" in User-Mode Linux,
// "9p:tag" in QEMU.
func mountShare(what, target string, flags uintptr) error {
	kind, name, _ := strings.Cut(what, ":")
	m := mount{name, target, kind, flags, ""}
	switch kind {
	case "hostfs":
		m.data = name
	case "9p":
		m.data = "trans=virtio,version=9p2000.L,msize=512000"
		if flags&unix.MS_RDONLY != 0 {
			m.data += ",cache=loose"
		}
	default:
		return fmt.Errorf("nothing to mount on %s: the kernel was told %q", target, what)
	}
	return m.make()
}

func mountHost(what string) error {
	return mountShare(what, hostDir, unix.MS_RDONLY)
}

// enterRoot makes a writable root of the host's and enters it. What is written stays
// in memory.
func enterRoot(modules string) error {
	mods, err := ReadModules(filepath.Join(hostDir, modules))
	if err != nil {
		return err
	}
	if err := mods.Load("overlay"); err != nil {
		return err
	}
	upper, work := layerDir+"/upper", layerDir+"/work"
	if err := (mount{"layer", layerDir, "tmpfs", 0, "mode=755"}).make(); err != nil {
		return err
	}
	for _, dir := range []string{upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	layers := "lowerdir=" + hostDir + ",upperdir=" + upper + ",workdir=" + work
	if err := (mount{"root", rootDir, "overlay", 0, layers}).make(); err != nil {
		return err
	}
	return switchRoot()
}

// switchRoot moves the kernel's mounts along and makes rootDir the root of every
// process. It has to be the first process that does it: the kernel's own threads,
// among them the one that runs modprobe, share their root with it.
func switchRoot() error {
	for _, m := range kernelMounts {
		to := rootDir + m.target
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.target, to, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", m.target, err)
		}
	}
	if err := unix.Chdir(rootDir); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the new root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	return unix.Chdir("/")
}

// furnish mounts in the new root what a program expects to find.
func furnish(modules string) error {
	if err := mountAll(rootMounts); err != nil {
		return err
	}
	if err := (mount{modules, "/lib/modules", "", unix.MS_BIND, ""}).make(); err != nil {
		return err
	}
	links := map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0",
		"/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2",
	}
	for name, to := range links {
		if err := os.Symlink(to, name); err != nil && !os.IsExist(err) {
			return err
		}
	}
	return unix.Sethostname([]byte("lane"))
}

package program

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// enterRoom takes the calling thread, which must be locked and left to end, into
// the guest's network namespace and a room of its own: nothing that is written
// there is seen on the host.
func enterRoom(g *ns.Handle, host string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWUTS); err != nil {
		return errs.New(os.ErrPermission, "make namespaces for the program: %w (run as root)", err)
	}
	// Slave: what the host unmounts is not held here.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Setns(int(g.NetNS()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the guest's network: %w", err)
	}
	if host != "" {
		if err := unix.Sethostname([]byte(host)); err != nil {
			return fmt.Errorf("name the guest: %w", err)
		}
	}
	// As ip-netns(8) does: interfaces in /sys are those of who mounted it. Where a
	// container's /sys may not be mounted again, it is not needed.
	_ = unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	return furnish()
}

// own are folders of the programs; they begin empty: the host's leases are for
// interfaces of the same names, but the host's.
var own = []string{"/var/lib/dhcp", "/var/lib/dhcpcd"}

// furnish lays a layer over /etc and /run that takes what is written there.
func furnish() error {
	run, err := unix.Open("/run", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /run: %w", err)
	}
	defer func() { _ = unix.Close(run) }()
	// Below the layer that will be /run the layers themselves are kept.
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=16m"); err != nil {
		return fmt.Errorf("mount a private /run: %w", err)
	}
	for _, dir := range own {
		err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=16m")
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("mount a private %s: %w", dir, err)
		}
	}
	if err := layer("/etc", "/etc"); err != nil {
		return err
	}
	return layer("/run", fmt.Sprintf("/proc/thread-self/fd/%d", run))
}

// layer mounts at dir what is in lower, and takes what is written there.
func layer(dir, lower string) error {
	upper, work := "/run/upper"+dir, "/run/work"+dir
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	err := unix.Mount("overlay", dir, "overlay", 0, "lowerdir="+lower+",upperdir="+upper+",workdir="+work)
	if errors.Is(err, unix.ENODEV) {
		return errs.New(errors.ErrUnsupported, "keep the program from writing to the host's %s: this kernel has no overlay file system (CONFIG_OVERLAY_FS): write dhcp, which needs no program", dir)
	}
	if err != nil {
		return fmt.Errorf("keep the program from writing to the host's %s: %w", dir, err)
	}
	return nil
}

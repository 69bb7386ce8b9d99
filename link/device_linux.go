package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/ns"
)

// A deviceID tells a network device from every other one that this kernel has had
// since it booted: the inode number of the device's directory in sysfs. It stays
// the same when the device is renamed or moves to another namespace, where its name,
// index, MAC and alias are for the namespace's root to choose. Nobody can choose it:
// the kernel counts up, and does not give a number out again (kernfs_new_node and
// kernfs_rename_ns in fs/kernfs/dir.c; on 32-bit machines after 2^32 others).
type deviceID uint64

// devices are the network devices of one namespace, in a sysfs that shows that
// namespace and is mounted nowhere.
type devices struct{ sysfs int }

// openDevices needs CAP_SYS_ADMIN in the user namespaces of the caller's mount
// namespace and of h. It does not keep the namespace alive.
func openDevices(ctx context.Context, h *ns.Handle) (*devices, error) {
	if err := fault.Step(ctx, "open sysfs"); err != nil {
		return nil, err
	}
	d := &devices{}
	err := h.Do(ctx, func() (err error) {
		d.sysfs, err = mountSysfs()
		return err
	})
	switch {
	case errors.Is(err, unix.EPERM):
		return nil, errs.New(fs.ErrPermission, "look at network devices in sysfs: needs CAP_SYS_ADMIN (run as root)")
	case errors.Is(err, unix.ENODEV):
		return nil, errs.New(errors.ErrUnsupported, "look at network devices: the kernel has no sysfs: CONFIG_SYSFS")
	case err != nil:
		return nil, fmt.Errorf("look at network devices in sysfs: %w", err)
	}
	return d, nil
}

// mountSysfs is a sysfs of the calling thread's network namespace.
func mountSysfs() (int, error) {
	fd, err := unix.Fsopen("sysfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.FsconfigCreate(fd); err != nil {
		return -1, err
	}
	return unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
}

func (d *devices) close() { _ = unix.Close(d.sysfs) }

// lookTime bounds how long each looks again after somebody renamed or moved a device while
// it looked. For as long as whoever moves one gets no CPU, its name leads nowhere.
const lookTime = 3 * time.Second

// indexes finds those of the devices that are here, and returns their indexes.
func (d *devices) indexes(ctx context.Context, wanted map[deviceID]bool) (map[deviceID]int, error) {
	found := make(map[deviceID]int)
	err := d.each(ctx, func(id deviceID, index int) bool {
		if wanted[id] {
			found[id] = index
		}
		return len(found) == len(wanted)
	})
	return found, err
}

// ids finds those of the devices with these indexes that are here, and returns their
// numbers.
func (d *devices) ids(ctx context.Context, wanted map[int]bool) (map[int]deviceID, error) {
	found := make(map[int]deviceID)
	err := d.each(ctx, func(id deviceID, index int) bool {
		if wanted[index] {
			found[index] = id
		}
		return len(found) == len(wanted)
	})
	return found, err
}

// each calls see for every device, for some more than once, until that returns true: it has
// seen enough. Where it saw only some of all devices, whenever it looked, that is an error:
// the others may be here.
func (d *devices) each(ctx context.Context, see func(id deviceID, index int) (enough bool)) error {
	wait := 50 * time.Microsecond
	for end := time.Now().Add(lookTime); time.Now().Before(end); wait = min(2*wait, 20*time.Millisecond) {
		whole, err := d.eachOnce(ctx, see)
		if whole || err != nil {
			return err
		}
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
	return errors.New("look at network devices in sysfs: they are renamed all the time: do it again")
}

// eachOnce says whether it saw all that see wants.
func (d *devices) eachOnce(ctx context.Context, see func(id deviceID, index int) (enough bool)) (whole bool, err error) {
	names, err := d.names()
	if err == nil {
		err = fault.Step(ctx, "look at devices")
	}
	if err != nil {
		return false, err
	}
	whole = true
	for _, name := range names {
		id, index, err := d.device(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			whole = false
		case err != nil:
			return false, err
		case see(id, index):
			return true, nil
		}
	}
	return whole, nil
}

func (d *devices) names() ([]string, error) {
	fd, err := unix.Openat(d.sysfs, "class/net", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("list network devices in sysfs: %w", err)
	}
	f := os.NewFile(uintptr(fd), "class/net")
	defer func() { _ = f.Close() }()
	return f.Readdirnames(-1)
}

// device reads the number and the index of the device that is called so now, both
// of the same one, whoever renames what meanwhile.
func (d *devices) device(name string) (deviceID, int, error) {
	dir, err := unix.Openat(d.sysfs, "class/net/"+name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) { // bonding_masters is a file
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("look at %s in sysfs: %w", name, err)
	}
	defer func() { _ = unix.Close(dir) }()
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("look at %s in sysfs: %w", name, err)
	}
	index, err := readIndex(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("read the index of %s in sysfs: %w", name, err)
	}
	return deviceID(st.Ino), index, nil
}

// readIndex reads the index of the device of this directory. One that ended meanwhile, or
// is about to, is fs.ErrNotExist.
func readIndex(dir int) (int, error) {
	fd, err := unix.Openat(dir, "ifindex", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	var b [16]byte
	var n int
	if err == nil {
		defer func() { _ = unix.Close(fd) }()
		n, err = unix.Read(fd, b[:])
	}
	switch {
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.EINVAL), err == nil && n == 0:
		return 0, fs.ErrNotExist
	case err != nil:
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b[:n])))
}

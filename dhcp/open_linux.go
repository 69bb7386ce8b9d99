package dhcp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
)

// openPlain opens a regular file to be changed in place. A pipe in a guest does not hang the
// caller.
func openPlain(path string) (*os.File, error) {
	path = filepath.Clean(path)
	if root, file, ok := inRoot(path); ok {
		return openInRoot(root, file)
	}
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{
		Flags:   unix.O_RDWR | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_MAGICLINKS,
	})
	switch {
	case errors.Is(err, unix.ENOSYS): // before Linux 5.6
		return os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	case errors.Is(err, unix.ELOOP):
		return nil, errs.New(fs.ErrInvalid, "a symbolic link, or a way through a link of /proc other than /proc/PID/root: name the file itself")
	case err != nil:
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// inRoot splits the path of a file as a process, or a thread, sees it: /proc/PID/root/PATH.
func inRoot(path string) (root, file string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/proc/")
	who, file, found := strings.Cut(rest, "/root/")
	pid, tid, _ := strings.Cut(who, "/task/")
	notDigit := func(r rune) bool { return r < '0' || r > '9' }
	if !ok || !found || pid == "" || file == "" || strings.ContainsFunc(pid+tid, notDigit) {
		return "", "", false
	}
	return path[:len(path)-len(file)-1], file, true
}

// openInRoot opens a file as the process sees it whose root directory this is. It takes one
// name after the other, and follows links itself: none leads out of the root, and each has
// to belong to the owner of the file that it leads to, so that who may write to a volume
// cannot have another's file changed.
func openInRoot(root, file string) (*os.File, error) {
	w := walk{todo: strings.Split(file, "/")}
	defer w.close()
	if err := w.open(unix.AT_FDCWD, root, unix.O_DIRECTORY); err != nil {
		return nil, err
	}
	for len(w.todo) > 0 {
		if err := w.step(); err != nil {
			return nil, err
		}
	}
	return w.reopen()
}

// A walk is on its way to a file.
type walk struct {
	fds   []int    // where it is: the root, directories below one another, and last the file
	todo  []string // the names that are left
	links []uint32 // the owners of the links that it followed
}

// linksMost is how many links are followed, as by the kernel (MAXSYMLINKS).
const linksMost = 40

func (w *walk) close() {
	for _, fd := range w.fds {
		_ = unix.Close(fd)
	}
}

func (w *walk) last() int { return w.fds[len(w.fds)-1] }

func (w *walk) open(dir int, name string, flags int) error {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
	if err == nil {
		w.fds = append(w.fds, fd)
	}
	return err
}

// up leaves the last one.
func (w *walk) up() {
	_ = unix.Close(w.last())
	w.fds = w.fds[:len(w.fds)-1]
}

// step takes the next name.
func (w *walk) step() error {
	name := w.todo[0]
	w.todo = w.todo[1:]
	switch name {
	case "", ".":
		return nil
	case "..":
		if len(w.fds) > 1 {
			w.up()
		}
		return nil
	}
	if err := w.open(w.last(), name, unix.O_NOFOLLOW); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(w.last(), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return err
	}
	return w.follow(st.Uid)
}

// follow replaces the link that is last by where it leads.
func (w *walk) follow(owner uint32) error {
	if w.links = append(w.links, owner); len(w.links) > linksMost {
		return unix.ELOOP
	}
	if isKernels(w.last()) { // what it leads to is not what its text says
		return errs.New(fs.ErrPermission, "a link of the kernel's is on the way: refused")
	}
	text := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(w.last(), "", text)
	if err != nil {
		return err
	}
	to := string(text[:n])
	w.up()
	for strings.HasPrefix(to, "/") && len(w.fds) > 1 {
		w.up()
	}
	w.todo = append(strings.Split(to, "/"), w.todo...)
	return nil
}

// reopen opens the file that was found, which is the one that is looked at.
func (w *walk) reopen() (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(w.last(), &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || isKernels(w.last()) {
		return nil, errs.New(fs.ErrInvalid, "no regular file")
	}
	for _, owner := range w.links {
		if owner != st.Uid {
			return nil, errs.New(fs.ErrPermission, "a symbolic link of user %d leads to a file of user %d: refused: name the file itself", owner, st.Uid)
		}
	}
	return os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", w.last()), os.O_RDWR|unix.O_NONBLOCK, 0)
}

// isKernels says whether the file is on a file system that is no storage: what is written
// there has the kernel do something.
func isKernels(fd int) bool {
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil {
		return true
	}
	switch st.Type {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC,
		unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC, unix.BPF_FS_MAGIC, unix.NSFS_MAGIC:
		return true
	}
	return false
}

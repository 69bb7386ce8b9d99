package ns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// runDir is where iproute2 keeps named namespaces (NETNS_RUN_DIR).
const runDir = "/run/netns"

// Open opens a pidfd first, then the namespace, and then asks the pidfd whether
// the process still runs: a process that takes over a freed number in between
// can never be mistaken for the guest. Needs Linux 5.3.
func (p PID) Open(ctx context.Context) (*Guest, error) {
	if err := fault.Step(ctx, "open process"); err != nil {
		return nil, err
	}
	pid := int(p)
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, pidError(pid, err)
	}
	g := &Guest{pidfd: fd, Identity: Identity{Name: Ref{Kind: Process, Name: strconv.Itoa(pid)}.String(), PID: pid}}
	g.Handle, err = namespaceOf(fd, pid)
	if err != nil {
		_ = unix.Close(fd)
		return nil, pidError(pid, err)
	}
	if err := g.Alive(); err != nil {
		_ = g.Close()
		return nil, err
	}
	return g, nil
}

// namespaceOf asks the pidfd itself (Linux 6.11), or else opens the process's
// file under /proc, which the caller has to check against the pidfd.
func namespaceOf(pidfd, pid int) (*Handle, error) {
	fd, err := unix.IoctlRetInt(pidfd, unix.PIDFD_GET_NET_NAMESPACE)
	switch {
	case err == nil:
		unix.CloseOnExec(fd)
		return newHandle(fd)
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return nil, err
	}
	return openFile(fmt.Sprintf("/proc/%d/ns/net", pid))
}

func pidError(pid int, err error) error {
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL) && pid <= 0:
		return errs.New(fs.ErrNotExist, "no process has PID %d", pid)
	case errors.Is(err, unix.EINVAL):
		return errs.New(fs.ErrNotExist, "%d is a thread, not a process: give the PID of its process", pid)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return errs.New(fs.ErrPermission, "open the network namespace of PID %d: needs CAP_SYS_PTRACE (run as root; in a container with --cap-add SYS_PTRACE)", pid)
	case errors.Is(err, unix.ENOSYS):
		return errs.New(errors.ErrUnsupported, "this kernel has no pidfd_open: needs Linux 5.3 or later")
	}
	return fmt.Errorf("open the network namespace of PID %d: %w", pid, err)
}

// Open opens the namespace file. The file's type is looked at before it is
// opened, so that no device or pipe is touched by mistake.
func (p Path) Open(ctx context.Context) (*Guest, error) {
	if err := fault.Step(ctx, "open path"); err != nil {
		return nil, err
	}
	path := string(p)
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return nil, pathError(path, err)
	}
	if st.Type != unix.NSFS_MAGIC {
		return nil, errs.New(fs.ErrInvalid, "%s is no network namespace", path)
	}
	h, err := openFile(path)
	if err != nil {
		return nil, pathError(path, err)
	}
	return &Guest{Handle: h, Identity: Identity{Name: path}}, nil
}

func pathError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return errs.New(fs.ErrNotExist, "no network namespace at %s", path)
	case errors.Is(err, fs.ErrPermission):
		return errs.New(fs.ErrPermission, "open %s: permission denied (run as root)", path)
	case errors.Is(err, fs.ErrInvalid):
		return err
	}
	return fmt.Errorf("open %s: %w", path, err)
}

// Open opens the file that ip-netns(8) made for the name.
func (n Named) Open(ctx context.Context) (*Guest, error) {
	name := string(n)
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return nil, errs.New(fs.ErrInvalid, "%q cannot be the name of a network namespace", name)
	}
	g, err := openNamed(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.New(fs.ErrNotExist, "no network namespace is named %q: see `ip netns list`", name)
	}
	if errors.Is(err, fs.ErrInvalid) { // ip-netns(8) makes the file first, and removes it last
		return nil, errs.New(fs.ErrNotExist, "%s/%s is no network namespace yet, or no more: `ip netns del %s` removes it", runDir, name, name)
	}
	if err != nil {
		return nil, err
	}
	return g, nil
}

// openNamed leaves out to look at the file's type before: only root can put a
// device there.
func openNamed(ctx context.Context, name string) (*Guest, error) {
	if err := fault.Step(ctx, "open path"); err != nil {
		return nil, err
	}
	path := runDir + "/" + name
	h, err := openFile(path)
	if err != nil {
		return nil, pathError(path, err)
	}
	return &Guest{Handle: h, Identity: Identity{Name: Ref{Kind: Netns, Name: name}.String()}}, nil
}

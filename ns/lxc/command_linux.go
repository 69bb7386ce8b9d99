package lxc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// getInitPID is LXC_CMD_GET_INIT_PID, see lxc_cmd_t in LXC's commands.h.
const getInitPID = 4

// word is the size of a pointer, which requests and answers hold one of.
const word = strconv.IntSize / 8

// An answer is what a monitor said, and who it is.
type answer struct {
	peer *unix.Ucred
	pid  int
}

// ask sends one request to the monitor: a number, the length of what follows, and
// a pointer (struct lxc_cmd_req); the answer is laid out alike (lxc_cmd_rsp), with
// the PID in the pointer's place. The error satisfies ECONNREFUSED where no
// monitor listens.
func (t target) ask(ctx context.Context, dir string, command uint32) (*answer, error) {
	if err := fault.Step(ctx, "ask LXC monitor"); err != nil {
		return nil, err
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", "@"+address(dir, t.name))
	if ctx.Err() != nil {
		return nil, hung(ctx, t.name)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the monitor of container %s: %w", t.name, err)
	}
	conn := c.(*net.UnixConn)
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	peer, err := peer(conn)
	if err == nil {
		err = t.evaluate(peer, dir)
	}
	if err != nil {
		return nil, err
	}
	pid, err := exchange(conn, command)
	switch {
	case ctx.Err() != nil:
		return nil, hung(ctx, t.name)
	case errors.Is(err, io.EOF), errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		err = errs.New(fs.ErrNotExist, "container %s is starting or stopping", t.name)
	case err == nil && pid <= 0:
		err = errs.New(fs.ErrNotExist, "container %s has no process: it is starting or stopping", t.name)
	case err != nil:
		err = fmt.Errorf("ask the monitor of container %s: %w", t.name, err)
	}
	if err != nil && peer.Uid == 0 && !t.inGroupOf(int(peer.Pid), dir, monitor) {
		err = errs.New(errs.ErrUnknown, "%w", err) // any container's root can say nothing
	}
	return &answer{peer, pid}, err
}

// exchange sends the request with our credentials, without which it is refused, and
// returns the number that is the answer.
func exchange(conn *net.UnixConn, command uint32) (int, error) {
	buf := make([]byte, 8+word)
	binary.NativeEndian.PutUint32(buf, command)
	us := &unix.Ucred{Pid: int32(os.Getpid()), Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	if _, _, err := conn.WriteMsgUnix(buf, unix.UnixCredentials(us), nil); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(conn, buf); err != nil {
		return 0, err
	}
	if code := int32(binary.NativeEndian.Uint32(buf)); code < 0 {
		return 0, unix.Errno(-code)
	}
	return int(int32(binary.NativeEndian.Uint32(buf[8:]))), nil
}

func peer(conn *net.UnixConn) (cred *unix.Ucred, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	if cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil {
		return nil, cerr
	}
	return cred, err
}

// address is the abstract name of a container's command socket. What does not fit
// into a socket's address is hashed, as lxc_make_abstract_socket_name does.
func address(dir, name string) string {
	const most = 106
	path := dir + "/" + name + "/command"
	if len(path) < most {
		return path
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(dir + "/" + name))
	return fmt.Sprintf("lxc/%016x/command", h.Sum64())
}

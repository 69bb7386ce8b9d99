package docker

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/go-pipework/pipework/internal/errs"
)

// Listen is where Docker finds the driver: the socket that systemd passes (sd_listen_fds(3)), or
// else one at the path, in place of one that nobody listens at any more. Where somebody does, the
// error satisfies fs.ErrExist.
func Listen(path string) (net.Listener, error) {
	if l, err := passed(); l != nil || err != nil {
		return l, err
	}
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close()
		return nil, errs.New(fs.ErrExist, "another driver listens at %s already: end it first, or choose another --socket", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil { // root's, as Docker is
		return nil, errs.Join(err, l.Close())
	}
	return l, nil
}

// passed is the socket that systemd passes; nil where it passes none.
func passed() (net.Listener, error) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) || os.Getenv("LISTEN_FDS") == "" {
		return nil, nil
	}
	if n := os.Getenv("LISTEN_FDS"); n != "1" {
		return nil, fmt.Errorf("systemd passes %s sockets: one is Docker's", n)
	}
	f := os.NewFile(3, "socket of systemd")
	defer func() { _ = f.Close() }()
	return net.FileListener(f)
}

package docker

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
)

// A session asks one engine on behalf of one Open. It makes a connection a
// request and holds none in between, so there is nothing to close and nothing
// that could outlive the call.
type session struct {
	dialect
	asked   bool // the socket was named, by Host or the environment
	host    string
	path    string
	version string // of the API; "" before it was set or negotiated
	peer    int    // the engine's PID as we see it; 0 where we cannot
	refused error  // why the last connection failed
}

func newSession(ctx context.Context, e Engine) (*session, error) {
	s := &session{dialect: e.dialect(), host: e.Host}
	if err := s.locate(); err != nil {
		return nil, err
	}
	if err := s.setVersion(); err != nil {
		return nil, s.unasked(ctx, err)
	}
	return s, nil
}

// unasked is why the engine is not asked: there is none, or else what is wrong with its settings.
func (s *session) unasked(ctx context.Context, wrong error) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return s.refused
	}
	_ = conn.Close()
	return errs.New(errs.ErrUnasked, "use the %s at %s: %w", s.product, s.host, wrong)
}

// pathMax is the longest path of a Unix socket (sun_path of unix(7), without the NUL).
const pathMax = 107

// locate finds the engine's socket. Certificates (DOCKER_CERT_PATH) are for TCP
// and not looked at.
func (s *session) locate() error {
	s.host = cmp.Or(s.host, os.Getenv(s.env))
	s.asked = s.host != ""
	s.host = cmp.Or(s.host, s.dialect.host)
	scheme, path, ok := strings.Cut(s.host, "://")
	switch {
	case !ok, path == "":
		return errs.NoAddress("%q is no engine's address: it looks like %s", s.host, s.dialect.host)
	case scheme != "unix":
		return errs.Absent(errors.ErrUnsupported, "the %s at %s may be another machine's: run there, with %s=%s", s.product, s.host, s.env, s.dialect.host)
	}
	if len(path) > pathMax {
		return errs.NoAddress("use the %s at %s: unix socket path %q is too long", s.product, s.host, path)
	}
	s.path = path
	return nil
}

// roundTrip makes one request over a connection of its own, which ends with the answer's
// body or with the request's context.
func (s *session) roundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	done := sync.OnceFunc(func() { stop(); _ = conn.Close() })
	req.Close = true
	resp, err := exchange(conn, req)
	if err != nil {
		done()
		return nil, brokenError{err}
	}
	resp.Body = body{resp.Body, done}
	return resp, nil
}

// headMax bounds an answer's status and headers, in bytes.
const headMax = 64 << 10

func exchange(conn net.Conn, req *http.Request) (*http.Response, error) {
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	head := &io.LimitedReader{R: conn, N: headMax}
	resp, err := http.ReadResponse(bufio.NewReader(head), req)
	head.N = math.MaxInt64 // what follows is bounded by who reads it
	return resp, err
}

// A body closes its connection.
type body struct {
	io.Reader
	done func()
}

func (b body) Close() error {
	b.done()
	return nil
}

// connect keeps the reason of a failure, which the client would hide.
func (s *session) connect(ctx context.Context) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", s.path)
	if err != nil {
		s.refused = s.dialError(err)
		return nil, err
	}
	s.refused = nil
	s.peer = peer(conn.(*net.UnixConn))
	return conn, nil
}

// peer returns the PID of the process that listens, see SO_PEERCRED in unix(7).
func peer(conn *net.UnixConn) int {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	var pid int
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

// noEngine are what connecting fails with where there is no stream socket that somebody
// listens at.
var noEngine = []error{unix.ENOENT, unix.ECONNREFUSED, unix.ENOTDIR, unix.ELOOP, unix.ENAMETOOLONG, unix.EPROTOTYPE}

// dialError never satisfies fs.ErrNotExist: an engine that is not there says
// nothing about its containers.
func (s *session) dialError(err error) error {
	const none = "no %s at %s: start it (systemctl start %s), or set %s to its socket"
	switch {
	case errors.Is(err, unix.ENOENT) && !s.asked:
		return errs.Absent(unix.ECONNREFUSED, none, s.product, s.host, s.unit, s.env)
	case slices.ContainsFunc(noEngine, func(no error) bool { return errors.Is(err, no) }):
		return errs.New(unix.ECONNREFUSED, none, s.product, s.host, s.unit, s.env)
	case errors.Is(err, fs.ErrPermission):
		return errs.New(fs.ErrPermission, "connect to the %s at %s: permission denied: run as root, or join the socket's group", s.product, s.host)
	case errors.Is(err, unix.EAGAIN):
		return fmt.Errorf("the %s at %s hangs, it takes no more connections: %w", s.product, s.host, err)
	}
	return fmt.Errorf("connect to the %s at %s: %w", s.product, s.host, err)
}

package docker

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/moby/moby/client"
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
	client  *client.Client
	peer    int   // the engine's PID as we see it; 0 where we cannot
	refused error // why the last connection failed
}

func newSession(e Engine) (*session, error) {
	s := &session{dialect: e.dialect(), host: e.Host}
	if err := s.locate(); err != nil {
		return nil, err
	}
	var err error
	s.client, err = client.New(
		client.WithHost(s.host),
		client.WithAPIVersionFromEnv(),
		client.WithHTTPClient(&http.Client{Transport: s, CheckRedirect: client.CheckRedirect}),
	)
	if err != nil {
		return nil, errs.New(fs.ErrInvalid, "use the %s at %s: %w", s.product, s.host, err)
	}
	return s, nil
}

// locate finds the engine's socket. Certificates (DOCKER_CERT_PATH) are for TCP
// and not looked at.
func (s *session) locate() error {
	s.host = cmp.Or(s.host, os.Getenv(s.env))
	s.asked = s.host != ""
	s.host = cmp.Or(s.host, s.dialect.host)
	scheme, path, ok := strings.Cut(s.host, "://")
	switch {
	case !ok, path == "":
		return errs.New(fs.ErrInvalid, "%q is no engine's address: it looks like %s", s.host, s.dialect.host)
	case scheme != "unix":
		return errs.Absent(errors.ErrUnsupported, "the %s at %s may be another machine's: run there, with %s=%s", s.product, s.host, s.env, s.dialect.host)
	}
	s.path = path
	return nil
}

// RoundTrip makes one request over a connection of its own and reads the whole
// answer; it returns by the end of the request's context.
func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	return exchange(conn, req)
}

func exchange(conn net.Conn, req *http.Request) (*http.Response, error) {
	once := req.Clone(req.Context())
	once.Close = true
	if err := once.Write(conn); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
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

// dialError never satisfies fs.ErrNotExist: an engine that is not there says
// nothing about its containers.
func (s *session) dialError(err error) error {
	const none = "no %s at %s: start it (systemctl start %s), or set %s to its socket"
	switch {
	case errors.Is(err, unix.ENOENT) && !s.asked:
		return errs.Absent(unix.ECONNREFUSED, none, s.product, s.host, s.unit, s.env)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ENOTDIR):
		return errs.New(unix.ECONNREFUSED, none, s.product, s.host, s.unit, s.env)
	case errors.Is(err, fs.ErrPermission):
		return errs.New(fs.ErrPermission, "connect to the %s at %s: permission denied: run as root, or join the socket's group", s.product, s.host)
	case errors.Is(err, unix.EAGAIN):
		return fmt.Errorf("the %s at %s hangs, it takes no more connections: %w", s.product, s.host, err)
	}
	return fmt.Errorf("connect to the %s at %s: %w", s.product, s.host, err)
}

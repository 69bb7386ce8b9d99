package docker

import (
	"bufio"
	"bytes"
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
	host    string
	path    string
	client  *client.Client
	peer    int   // the engine's PID as we see it; 0 where we cannot
	refused error // why the last connection failed
}

func newSession(host string) (*session, error) {
	host, path, err := locate(host)
	if err != nil {
		return nil, err
	}
	s := &session{host: host, path: path}
	s.client, err = client.New(
		client.WithHost(host),
		client.WithAPIVersionFromEnv(),
		client.WithHTTPClient(&http.Client{Transport: s, CheckRedirect: client.CheckRedirect}),
	)
	if err != nil {
		return nil, errs.New(fs.ErrInvalid, "use the Docker engine at %s: %w", host, err)
	}
	return s, nil
}

// locate finds the engine's socket. Certificates (DOCKER_CERT_PATH) are for TCP
// and not looked at.
func locate(host string) (address, path string, err error) {
	if host == "" {
		host = os.Getenv(client.EnvOverrideHost)
	}
	if host == "" {
		host = client.DefaultDockerHost
	}
	scheme, path, ok := strings.Cut(host, "://")
	switch {
	case !ok, path == "":
		return "", "", errs.New(fs.ErrInvalid, "%q is no engine's address: it looks like %s", host, client.DefaultDockerHost)
	case scheme != "unix":
		return "", "", errs.New(errors.ErrUnsupported, "the Docker engine at %s may be another machine's: run there, with DOCKER_HOST=%s", host, client.DefaultDockerHost)
	}
	return host, path, nil
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
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ENOTDIR):
		return errs.New(unix.ECONNREFUSED, "no Docker engine at %s: start it (systemctl start docker), or set DOCKER_HOST to its socket", s.host)
	case errors.Is(err, fs.ErrPermission):
		return errs.New(fs.ErrPermission, "connect to the Docker engine at %s: permission denied: run as root, or join the socket's group", s.host)
	case errors.Is(err, unix.EAGAIN):
		return fmt.Errorf("the Docker engine at %s hangs, it takes no more connections: %w", s.host, err)
	}
	return fmt.Errorf("connect to the Docker engine at %s: %w", s.host, err)
}

// Package health tells of a [watch.Watcher] over HTTP at a Unix socket: its counters
// in Prometheus' text format at /metrics, and whether it works at /healthz. It is
// apart from package watch so that HTTP is paid for only where it is used.
package health

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/watch"
)

// Serve makes the socket, which root and its group may connect to, and answers
// there until ctx ends, when it removes the socket again. A socket that nobody
// listens at any more is replaced; anything else that is there is an error that
// satisfies fs.ErrExist. GET /metrics answers 200, GET /healthz 200, or 503 with
// the reason. Serve returns once it listens; end waits until it has ended.
func Serve(ctx context.Context, path string, w *watch.Watcher) (end func(), err error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("metrics at %s: %w", path, err)
	}
	srv := &http.Server{Handler: handler(w), ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	go func() {
		defer close(done)
		_ = srv.Serve(l) // until it is closed
	}()
	return func() {
		stop()
		_ = srv.Close()
		<-done
	}, nil
}

// A socket removes itself when it is closed, but nothing that has taken its place.
type socket struct {
	*net.UnixListener
	path string
	made fs.FileInfo
}

// Close ends listening.
func (s *socket) Close() error {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(s.made, now) {
		_ = os.Remove(s.path)
	}
	return s.UnixListener.Close()
}

func listen(path string) (net.Listener, error) {
	if err := clear(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	made, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s := &socket{l, path, made}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// clear removes a socket that a killed process left behind: one that refuses, since
// nobody listens. What answers otherwise is another's.
func clear(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.Mode().Type() != fs.ModeSocket:
		return errs.New(fs.ErrExist, "there is something that is no socket: choose another path")
	}
	conn, err := net.Dial("unix", path)
	switch {
	case err == nil:
		_ = conn.Close()
		return errs.New(fs.ErrExist, "somebody listens there already: is another watch running?")
	case !errors.Is(err, syscall.ECONNREFUSED):
		return errs.New(fs.ErrExist, "there is a socket of something else (%w): choose another path", err)
	}
	return os.Remove(path)
}

func handler(w *watch.Watcher) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_ = w.WriteMetrics(out)
	})
	mux.HandleFunc("GET /healthz", func(out http.ResponseWriter, _ *http.Request) {
		if err := w.Healthy(); err != nil {
			http.Error(out, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = out.Write([]byte("ok\n"))
	})
	return mux
}

// Package health tells of a [keep.Watcher] over HTTP at a Unix socket: its counters
// in Prometheus' text format at /metrics, and whether it works at /healthz. It is
// apart from package keep so that HTTP is paid for only where it is used.
package health

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/keep"
)

// Serve makes the socket, which root and its group may connect to, and answers
// there until ctx ends, when it removes the socket again. A socket that nobody
// listens at any more is replaced; anything else that is there is an error that
// satisfies fs.ErrExist. GET /metrics answers 200, GET /healthz 200, or 503 with
// the reason. Serve returns once it listens; end waits until it has ended.
func Serve(ctx context.Context, path string, w *keep.Watcher) (end func(), err error) {
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

func listen(path string) (net.Listener, error) {
	if err := clear(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// clear removes a socket that a killed process left behind.
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
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close()
		return errs.New(fs.ErrExist, "somebody listens there already: is another watch running?")
	}
	return os.Remove(path)
}

func handler(w *keep.Watcher) http.Handler {
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

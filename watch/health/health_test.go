package health_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
	"github.com/go-pipework/pipework/watch"
	"github.com/go-pipework/pipework/watch/health"
)

// get asks at a socket.
func get(t *testing.T, sock, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", sock)
		},
	}}
	res, err := client.Get("http://pipework" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func TestServe(t *testing.T) {
	defer goleak.VerifyNone(t)
	sock := filepath.Join(t.TempDir(), "s")
	w := &watch.Watcher{Sources: []ns.Source{docker.Engine{Host: "unix:///nowhere"}}}
	ctx, cancel := context.WithCancel(t.Context())
	end, err := health.Serve(ctx, sock, w)
	if err != nil {
		t.Fatal(err)
	}
	status, text := get(t, sock, "/metrics")
	if status != 200 || !strings.Contains(text, "# TYPE pipework_attachments gauge\npipework_attachments 0\n") {
		t.Errorf("%d\n%s", status, text)
	}
	format := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+({[a-z]+="[^"]*"})? [0-9.e+-]+)$`)
	for line := range strings.Lines(text) {
		if !format.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("%q is not in Prometheus' format", line)
		}
	}
	if status, text := get(t, sock, "/healthz"); status != 503 || text != "no events of containers arrive from unix:///nowhere\n" {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := get(t, sock, "/other"); status != 404 {
		t.Error(status)
	}
	if st, err := os.Stat(sock); err != nil || st.Mode().Perm() != 0o660 {
		t.Error(st, err)
	}
	if _, err := health.Serve(ctx, sock, w); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "another watch") {
		t.Error("a second one:", err)
	}
	cancel()
	end()
	if _, err := os.Stat(sock); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the socket stays:", err)
	}
}

func TestServeWhereSomethingIs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := health.Serve(t.Context(), file, &watch.Watcher{}); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if text, _ := os.ReadFile(file); string(text) != "precious" {
		t.Error("it was overwritten")
	}
	if _, err := health.Serve(t.Context(), filepath.Join(dir, "no", "folder"), &watch.Watcher{}); err == nil {
		t.Error("served in a folder that is not there")
	}
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	end, err := health.Serve(t.Context(), stale, &watch.Watcher{})
	if err != nil {
		t.Fatal("what a killed one left:", err)
	}
	defer end()
	if status, text := get(t, stale, "/healthz"); status != 200 || text != "ok\n" {
		t.Errorf("%d %s", status, text)
	}
}

// TestServeWhereOthersListen names sockets of others, which a stream does not reach: they
// are no socket that a killed process left.
func TestServeWhereOthersListen(t *testing.T) {
	for _, kind := range []string{"unixgram", "unixpacket"} {
		path := filepath.Join(t.TempDir(), "s")
		var other io.Closer
		var err error
		if kind == "unixgram" {
			other, err = net.ListenUnixgram(kind, &net.UnixAddr{Name: path, Net: kind})
		} else {
			other, err = net.ListenUnix(kind, &net.UnixAddr{Name: path, Net: kind})
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if end, err := health.Serve(t.Context(), path, &watch.Watcher{}); err == nil {
			end()
			t.Errorf("%s: served", kind)
		} else if !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", kind, err)
		}
		if now, err := os.Lstat(path); err != nil || !os.SameFile(before, now) {
			t.Errorf("%s: the other's socket is gone: %v", kind, err)
		}
	}
}

// TestServeEndsWithItsOwn has something else stand at the path when serving ends.
func TestServeEndsWithItsOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	end, err := health.Serve(t.Context(), path, &watch.Watcher{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	end()
	if text, err := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("another's file is gone: %v", err)
	}
}

//go:build linux

package find_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns/find"
)

// hostile are words that would be patterns, paths, options, requests or several
// lines, if they were used as such.
var hostile = []string{
	"", " ", ".", "..", "...", "../", "../x", "./web", "web/", "web/.", "web/..", "web/../decoy", "a/../../b/c", "..\\web",
	"../../../../proc/self/ns/net", "..%2fdecoy", "%2e%2e", "web%00", "web\x00decoy", "web\ndecoy", "web\r\ndecoy", "\nweb", "web\n", "we b", "\tweb", "web\u2028", "web\u00a0",
	"*", "**", "w*b", "we?", "[w]eb", "{web,decoy}", "web|decoy", "web;reboot", "$(reboot)", "`reboot`", "$HOME", "~", "~root", "web&", "web>x", "web<x", "'web'", "\"web\"",
	"-", "-web", "--help", "-i", "#web", "web#x", "web?all=1", "web&all=1", "!web", "web!", "w^b", "(web)", "web=1", "web,decoy", "\x1b[2Jweb", "\xff\xfe", "w\u202eeb", "😀",
	strings.Repeat("w", 300), strings.Repeat("../", 60) + "etc/passwd", "web HTTP/1.1\r\nHost: x",
}

// TestHostileNames opens each of them bare and under every kind: all are refused,
// before a step that leaves the process, and the kernel saw nobody open anything.
func TestHostileNames(t *testing.T) {
	if len(hostile) < 50 {
		t.Fatalf("only %d names", len(hostile))
	}
	decoys(t)
	watch := spy(t)
	var asked atomic.Int64
	serve(t, "/run/docker.sock", &asked)
	serve(t, "/run/podman/podman.sock", &asked)
	watch.quiet(t, "the tests themselves", false)
	var step atomic.Value
	step.Store("")
	ctx := fault.With(t.Context(), func(s string) error { step.Store(s); return nil })
	for _, name := range hostile {
		for _, kind := range []string{"", "docker:", "podman:", "podman:nobody/", "containerd:", "containerd:ns/", "lxc:", "machine:", "nspawn:", "netns:", "cgroup:", "pid:"} {
			word := kind + name
			g, err := find.Guest(word).Open(ctx)
			if err == nil {
				t.Errorf("%q opened %+v", word, g.Identity)
				_ = g.Close()
				continue
			}
			if !errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%q: %v", word, err)
			}
			if s := step.Swap(""); s != "" {
				t.Errorf("%q got as far as %q", word, s)
			}
			if watch.noisy() { // somebody else on the machine, or is it again?
				_, _ = find.Guest(word).Open(ctx)
				watch.quiet(t, word, true)
			}
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("engines were asked %d times", n)
	}
	// What the spies would have seen.
	if _, err := find.Guest("decoy").Open(ctx); err == nil || asked.Load() == 0 || step.Load() == "" {
		t.Errorf("a plain name reaches nobody: %v, %d requests", err, asked.Load())
	}
	watch.quiet(t, "a plain name", false)
	if watch.seen == 0 {
		t.Error("the kernel saw nothing of a plain name")
	}
}

// FuzzGuest lets no word get further than its first step.
func FuzzGuest(f *testing.F) {
	for _, name := range hostile {
		f.Add(name)
		f.Add("docker:" + name)
	}
	f.Add("podman:alice/web")
	f.Add("containerd:ns/web")
	f.Add("netns:/run/netns/x")
	end := errors.New("the end")
	f.Fuzz(func(t *testing.T, word string) {
		ctx := fault.With(t.Context(), func(string) error { return end })
		target := find.Guest(word)
		g, err := target.Open(ctx)
		if err == nil {
			_ = g.Close()
			t.Fatalf("%q opened", word)
		}
		if !errors.Is(err, end) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", word, err)
		}
		_ = fmt.Sprint(target)
	})
}

// decoys are places next to those that names are looked up in, with a guest in each.
func decoys(t *testing.T) {
	t.Helper()
	p := nstest.Process(t)
	for path, text := range map[string]string{
		"/run/containerd/io.containerd.runtime.v2.task/ns/decoy/init.pid":    fmt.Sprint(p.PID),
		"/run/containerd/io.containerd.runtime.v2.task/ns/decoy/config.json": "{}",
		"/run/containerd/init.pid":   fmt.Sprint(p.PID),
		"/run/systemd/machines/web":  fmt.Sprintf("LEADER=%d\nSCOPE=decoy\n", p.PID),
		"/run/systemd/decoy":         fmt.Sprintf("LEADER=%d\nSCOPE=decoy\n", p.PID),
		"/run/netns/a file\nof that": "",
		"/run/netns/*":               "",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(path) })
	}
	t.Cleanup(func() { _ = os.RemoveAll("/run/containerd") })
	t.Cleanup(func() { _ = os.RemoveAll("/run/systemd") })
}

// serve answers at a socket that nobody is there.
func serve(t *testing.T, path string, asked *atomic.Int64) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Api-Version", "1.41")
		if !strings.HasSuffix(r.URL.Path, "/_ping") {
			http.Error(w, `{"message":"no such container"}`, http.StatusNotFound)
		}
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
}

// A watcher hears from the kernel of whatever is opened where names are looked up.
type watcher struct{ fd, seen int }

func spy(t *testing.T) *watcher {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	for _, path := range []string{
		"/run", "/run/netns", "/run/containerd", "/run/containerd/io.containerd.runtime.v2.task", "/run/containerd/io.containerd.runtime.v2.task/ns",
		"/run/systemd", "/run/systemd/machines", "/sys/fs/cgroup", "/etc/passwd", "/etc/lxc", "/proc/self/mountinfo",
	} {
		if _, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN|unix.IN_ACCESS); err != nil && !errors.Is(err, unix.ENOENT) {
			t.Fatalf("watch %s: %v", path, err)
		}
	}
	return &watcher{fd: fd}
}

// noisy says whether something was opened.
func (w *watcher) noisy() bool {
	n, err := unix.Read(w.fd, make([]byte, 1<<16))
	if err == nil {
		w.seen += n
	}
	return err == nil
}

// quiet reads what was opened since the last time; must says that it has to be
// nothing.
func (w *watcher) quiet(t *testing.T, word string, must bool) {
	t.Helper()
	buf := make([]byte, 1<<16)
	n, err := unix.Read(w.fd, buf)
	if err != nil {
		return // EAGAIN
	}
	w.seen += n
	if must {
		t.Errorf("%q: something was opened: event %#x, %q", word, binary.NativeEndian.Uint32(buf[4:]), strings.TrimRight(string(buf[16:min(n, 64)]), "\x00"))
	}
}

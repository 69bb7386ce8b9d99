package docker_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/go-pipework/pipework/ns/docker"
)

// A fake is not an engine: it is a program that answers inspect requests as the
// test tells it to, for moments that no real engine can be brought to show, and
// for machines that have none.
type fake struct {
	t      *testing.T
	sock   string
	mu     sync.Mutex
	script []answer // each is given once, the last for ever
	asked  []string
}

// An answer is a status and what is sent as JSON.
type answer struct {
	status int
	body   any
}

func newFake(t *testing.T, script ...answer) *fake {
	t.Helper()
	f := &fake{t: t, sock: socketPath(t), script: script}
	l, err := net.Listen("unix", f.sock)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, f)
	return f
}

// serve lets h answer on l until the test ends.
func serve(t *testing.T, l net.Listener, h http.Handler) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
}

// socketPath is short enough for a socket whatever the test is called.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "sock")
}

func (f *fake) engine() docker.Engine { return docker.Engine{Host: "unix://" + f.sock} }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.Method+" "+r.URL.RequestURI())
	w.Header().Set("Api-Version", "1.41")
	if strings.HasSuffix(r.URL.Path, "/_ping") {
		return
	}
	a := f.script[0]
	if len(f.script) > 1 {
		f.script = f.script[1:]
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	if err := json.NewEncoder(w).Encode(a.body); err != nil {
		f.t.Error(err)
	}
}

// requests lists what was asked but for pings.
func (f *fake) requests() (asked []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, line := range f.asked {
		if !strings.HasSuffix(line, "/_ping") {
			asked = append(asked, line)
		}
	}
	return asked
}

// webID is the ID of the container web that fakes speak of.
var webID = strings.Repeat("5e", 32)

// web is an answer that describes a container in this state.
func web(st container.State) answer {
	return answer{http.StatusOK, container.InspectResponse{
		ID: webID, Name: "/web", State: &st, HostConfig: &container.HostConfig{NetworkMode: "none"},
	}}
}

// running is an answer that describes a container that runs as this process.
func running(pid int, started string) answer {
	return web(container.State{Status: container.StateRunning, Running: true, Pid: pid, StartedAt: started})
}

func notFound() answer {
	return answer{http.StatusNotFound, map[string]string{"message": "No such container"}}
}

// process starts a process that lives as long as the test.
func process(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// ended returns the number of a process that has ended.
func ended(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// within fails the test if f takes much longer, as what hangs does: the machine may be
// busy.
func within(t *testing.T, d time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > d+10*time.Second {
		t.Errorf("took %v, allowed are %v", took, d)
	}
}

//go:build linux

package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/go-pipework/pipework/internal/sandbox"
)

// engine has DOCKER_HOST name a program that answers as Docker does for one container,
// which runs some time after it was first asked for, and has the labels that follow.
func engine(ts *testscript.TestScript, _ bool, args []string) {
	delay, err := time.ParseDuration(args[1])
	ts.Check(err)
	guest, err := sandbox.Start()
	ts.Check(err)
	ts.Defer(func() { _ = guest.Kill() })
	path := ts.MkAbs(args[0] + ".sock")
	l, err := net.Listen("unix", path)
	ts.Check(err)
	one := &container{name: args[0], pid: guest.PID, delay: delay, labels: map[string]string{}}
	for _, label := range args[2:] {
		key, value, _ := strings.Cut(label, "=")
		one.labels[key] = value
	}
	srv := httptest.NewUnstartedServer(one)
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	ts.Defer(srv.Close)
	ts.Setenv("DOCKER_HOST", "unix://"+path)
}

// hangs has a variable name a socket that nobody answers at.
func hangs(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs("hangs.sock")
	l, err := net.Listen("unix", path)
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], "unix://"+path)
}

var containerID = strings.Repeat("5e", 32)

// A container answers what an engine says of it.
type container struct {
	name   string
	pid    int
	delay  time.Duration
	labels map[string]string
	asked  sync.Once
	first  time.Time
}

func (c *container) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/_ping"):
		return
	case strings.Contains(r.URL.Path, "/images/"):
		_, _ = io.WriteString(w, `{"Config": {}}`)
		return
	case !strings.HasSuffix(r.URL.Path, "/containers/"+c.name+"/json") && !strings.HasSuffix(r.URL.Path, "/containers/"+containerID+"/json"):
		w.WriteHeader(http.StatusNotFound)
		return
	}
	c.asked.Do(func() { c.first = time.Now() })
	state := map[string]any{"Status": "created"}
	if time.Since(c.first) >= c.delay {
		state = map[string]any{"Status": "running", "Running": true, "Pid": c.pid, "StartedAt": "2026-01-01T00:00:00Z"}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"Id": containerID, "Name": "/" + c.name, "State": state, "HostConfig": map[string]any{"NetworkMode": "none"},
		"Image": "sha256:5e", "Config": map[string]any{"Labels": c.labels, "Image": "registry.lan/web:1"},
	})
}

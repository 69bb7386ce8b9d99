package docker_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
)

func TestEngine(t *testing.T) {
	e := dockertest.Start(t, dockertest.Options{})
	t.Setenv("DOCKER_HOST", e.Sock())
	e.Run(t, dockertest.Container{Name: "web", Network: "none"})

	for name, test := range map[string]func(*testing.T, *dockertest.Engine){
		"names":      testNames,
		"no process": testNoProcess,
		"restarting": testRestarting,
		"ambiguous":  testAmbiguous,
		"networks":   testNetworks,
		"restart":    testRestart,
		"paused":     testPaused,
		"hung":       testHung,
	} {
		t.Run(name, func(t *testing.T) {
			noLeak(t)
			t.Cleanup(func() { _ = e.Client().Close() }) // its idle connections are no leak
			test(t, e)
		})
	}
}

func testHung(t *testing.T, e *dockertest.Engine) {
	resume := e.Hang(t)
	defer resume()
	hungEngine(t, e.Sock())
}

func testNames(t *testing.T, e *dockertest.Engine) {
	c := e.Inspect(t, "web")
	want := ns.Identity{Name: "web", ID: c.ID, PID: c.State.Pid}
	for _, name := range []string{"web", "/web", c.ID, c.ID[:12], c.ID[:5]} {
		if diff := cmp.Diff(want, mustOpen(t, docker.Container(name))); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	wantError(t, docker.Container("nope"), fs.ErrNotExist, `no container "nope": see docker ps -a`)
	wantError(t, docker.Container("WEB"), fs.ErrNotExist, `no container "WEB": see docker ps -a`)
}

func testNoProcess(t *testing.T, e *dockertest.Engine) {
	e.Create(t, dockertest.Container{Name: "made", Network: "none"})
	wantError(t, docker.Container("made"), fs.ErrNotExist,
		"container made was never started: start it with docker start made")

	e.Run(t, dockertest.Container{Name: "done", Network: "none", Cmd: []string{"sh", "-c", "exit 3"}})
	testwait.Eventually(t, "the container has ended", func() bool { return !e.Inspect(t, "done").State.Running })
	wantError(t, docker.Container("done"), fs.ErrNotExist,
		"container done has exited (status 3): start it with docker start done")
}

func testRestarting(t *testing.T, e *dockertest.Engine) {
	e.Run(t, dockertest.Container{Name: "crash", Network: "none", Restart: "always", Cmd: []string{"false"}})
	defer e.Remove(t, "crash")
	testwait.Eventually(t, "the container is restarting", func() bool {
		g, err := docker.Container("crash").Open(t.Context())
		if err == nil { // it runs just now
			_ = g.Close()
		}
		return errors.Is(err, fs.ErrNotExist) && err.Error() == "container crash is restarting (status 1): see docker logs crash"
	})
}

// testAmbiguous makes containers until two IDs begin alike, at the latest the
// seventeenth.
func testAmbiguous(t *testing.T, e *dockertest.Engine) {
	seen := map[string]bool{}
	for {
		id := e.Create(t, dockertest.Container{Network: "none"})
		if first := id[:1]; !seen[first] {
			seen[first] = true
			continue
		}
		_, err := docker.Container(id[:1]).Open(t.Context())
		want := fmt.Sprintf("%q begins the IDs of ", id[:1])
		if !errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v", err)
		}
		return
	}
}

func testNetworks(t *testing.T, e *dockertest.Engine) {
	e.Run(t, dockertest.Container{Name: "bridged"})
	e.Run(t, dockertest.Container{Name: "joined", Network: "container:bridged"})
	e.Run(t, dockertest.Container{Name: "hosted", Network: "host"})

	bridged, joined, hosted := open(t, "bridged"), open(t, "joined"), open(t, "hosted")
	if joined.Inode() != bridged.Inode() {
		t.Error("joined is not where bridged is")
	}
	if hosted.Inode() != e.HostNS().Inode() {
		t.Error("hosted is not in the engine's host namespace")
	}
	c := e.Inspect(t, "joined")
	want := ns.Identity{Name: "joined", ID: c.ID, PID: c.State.Pid, NetworkOf: "bridged"}
	if diff := cmp.Diff(want, joined.Identity); diff != "" {
		t.Error(diff)
	}
	if hosted.NetworkOf != "" || hosted.Name != "hosted" {
		t.Errorf("hosted is %+v", hosted.Identity)
	}

	id := e.Inspect(t, "bridged").ID
	e.Remove(t, "bridged")
	if got := mustOpen(t, docker.Container("joined")).NetworkOf; got != id {
		t.Errorf("joined has the network of %q, want the ID of what is gone", got)
	}
}

func testRestart(t *testing.T, e *dockertest.Engine) {
	before := open(t, "web")
	e.Restart(t, "web")
	after := open(t, "web")
	if err := before.Alive(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the guest of before: %v", err)
	}
	if after.PID == before.PID || after.Inode() == before.Inode() || after.PID != e.Inspect(t, "web").State.Pid {
		t.Errorf("before %+v, after %+v", before.Identity, after.Identity)
	}
	testWhileRestarting(t, e)
}

// testWhileRestarting opens a container over and over that restarts over and
// over: whatever is opened is its own, and what is not says why.
func testWhileRestarting(t *testing.T, e *dockertest.Engine) {
	stop, opened := make(chan struct{}), make(chan int)
	go func() { opened <- openUntil(t, e, stop) }()
	for range 4 {
		e.Restart(t, "web")
	}
	close(stop)
	t.Logf("opened %d times during 4 restarts", <-opened)
}

func openUntil(t *testing.T, e *dockertest.Engine, stop <-chan struct{}) (opened int) {
	for {
		select {
		case <-stop:
			return opened
		default:
		}
		g, err := docker.Container("web").Open(t.Context())
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v", err)
			}
			continue
		}
		opened++
		if g.Inode() == e.HostNS().Inode() || g.Name != "web" {
			t.Errorf("opened %+v", g.Identity)
		}
		_ = g.Close()
	}
}

func testPaused(t *testing.T, e *dockertest.Engine) {
	e.Pause(t, "web")
	defer e.Unpause(t, "web")
	if got := mustOpen(t, docker.Container("web")).Name; got != "web" {
		t.Errorf("got %q", got)
	}
}

// open opens a container of the engine that DOCKER_HOST names, for the test.
func open(t *testing.T, name string) *ns.Guest {
	t.Helper()
	g, err := docker.Container(name).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func BenchmarkOpen(b *testing.B) {
	e := dockertest.Start(b, dockertest.Options{})
	e.Run(b, dockertest.Container{Name: "web", Network: "none"})
	target := docker.Engine{Host: e.Sock()}.Container("web")

	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g, err := target.Open(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			_ = g.Close()
		}
	})
	b.Run("bare inspect", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Client().ContainerInspect(context.Background(), "web", client.ContainerInspectOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

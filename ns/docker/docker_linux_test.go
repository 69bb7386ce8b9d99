package docker_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
)

func TestMain(m *testing.M) {
	dockertest.Supervise()
	foreignEngine()
	nstest.Run(m)
}

// noLeak fails the test if an Open leaves a goroutine or an open file.
func noLeak(t *testing.T) {
	t.Helper()
	before := openFiles(t)
	goroutines := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		goleak.VerifyNone(t, goroutines)
		if diff := cmp.Diff(before, openFiles(t)); diff != "" {
			t.Errorf("open files:\n%s", diff)
		}
	})
}

// openFiles counts the open files of a kind that Open uses, but for sockets,
// which a fake engine has too.
func openFiles(t *testing.T) map[string]int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, fd := range fds {
		to, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		if strings.HasPrefix(to, "net:") || strings.Contains(to, "pidfd") {
			count[to]++
		}
	}
	return count
}

// wantError opens the target and expects this error and no other class.
func wantError(t *testing.T, to ns.Target, class error, text string) {
	t.Helper()
	g, err := to.Open(t.Context())
	if err == nil {
		_ = g.Close()
		t.Fatalf("opened %+v", g.Identity)
	}
	if diff := cmp.Diff(text, err.Error()); diff != "" {
		t.Errorf("error text:\n%s", diff)
	}
	for _, c := range []error{fs.ErrNotExist, fs.ErrInvalid, fs.ErrPermission, errors.ErrUnsupported, syscall.ECONNREFUSED} {
		if errors.Is(err, c) != errors.Is(class, c) {
			t.Errorf("errors.Is(err, %v) is %v", c, errors.Is(err, c))
		}
	}
}

// mustOpen opens the target, closes it, and returns who it is.
func mustOpen(t *testing.T, to ns.Target) ns.Identity {
	t.Helper()
	g, err := to.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	return g.Identity
}

func TestHostileNamesNeverReachTheEngine(t *testing.T) {
	f := newFake(t, notFound())
	for _, name := range []string{"", "/", "..", "../x", "web/../../images", "we b", "web\n", "web?all=1", "web%2e", "web#x"} {
		want := fmt.Sprintf("%q cannot be a container's name or ID: those are letters, digits, '_', '.' and '-'", name)
		wantError(t, f.engine().Container(name), fs.ErrInvalid, want)
	}
	if asked := f.requests(); len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}
}

func TestStates(t *testing.T) {
	for _, row := range []struct {
		name  string
		state container.State
		want  string
	}{
		{
			"created", container.State{Status: container.StateCreated},
			"container web was never started: start it with docker start web",
		},
		{
			"exited", container.State{Status: container.StateExited, ExitCode: 137},
			"container web has exited (status 137): start it with docker start web",
		},
		{
			"restarting counts as running", container.State{Status: container.StateRestarting, Running: true, Restarting: true, ExitCode: 1},
			"container web is restarting (status 1): see docker logs web",
		},
		{
			"removing", container.State{Status: container.StateRemoving},
			"container web is being removed",
		},
		{
			"dead", container.State{Status: container.StateDead, Dead: true},
			"container web is being removed",
		},
		{
			"podman's own", container.State{Status: "stopping"},
			`container web has no process (state "stopping"): start it with docker start web`,
		},
		{
			"running without a process", container.State{Status: container.StateRunning, Running: true},
			`container web has no process (state "running"): start it with docker start web`,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFake(t, web(row.state))
			noLeak(t)
			wantError(t, f.engine().Container("web"), fs.ErrNotExist, row.want)
			_, err := f.engine().Container("web").Open(t.Context())
			if stopped, ok := errors.AsType[errs.Stopped](err); !ok || stopped.ID != webID {
				t.Errorf("its ID is not told: %#v", err)
			}
		})
	}
}

// A fake engine stands in for what follows: it takes a container that restarts
// between two steps of Open, and a control group that does not bear its ID.

func TestProcessWithoutControlGroup(t *testing.T) {
	pid := process(t)
	f := newFake(t, running(pid, "1"))
	noLeak(t)
	want := ns.Identity{Name: "web", ID: webID, PID: pid}
	if diff := cmp.Diff(want, mustOpen(t, f.engine().Container("/web"))); diff != "" {
		t.Error(diff)
	}
	asked := []string{"GET /v1.41/containers/web/json", "GET /v1.41/containers/" + webID + "/json"}
	if diff := cmp.Diff(asked, f.requests()); diff != "" {
		t.Errorf("asked:\n%s", diff)
	}
}

func TestRecycledPID(t *testing.T) {
	old, now := process(t), process(t)
	for _, row := range []struct {
		name   string
		script []answer
	}{
		{"restarted after the first answer", []answer{running(old, "1"), running(now, "2")}},
		{"the same number in a new start", []answer{running(old, "1"), running(old, "2"), running(now, "3")}},
		{"removed and made again", []answer{running(old, "1"), notFound(), running(now, "2")}},
		{"ended before it was opened", []answer{running(ended(t), "1"), running(now, "2")}},
		{"restarts while it is asked again", []answer{running(old, "1"), web(container.State{Running: true, Restarting: true, Pid: old, StartedAt: "1"}), running(now, "2")}},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFake(t, row.script...)
			noLeak(t)
			if got := mustOpen(t, f.engine().Container("web")).PID; got != now {
				t.Errorf("opened process %d; the container's is %d", got, now)
			}
		})
	}
}

func TestExitsMeanwhile(t *testing.T) {
	f := newFake(t, running(process(t), "1"), web(container.State{Status: container.StateExited, ExitCode: 2}))
	noLeak(t)
	wantError(t, f.engine().Container("web"), fs.ErrNotExist, "container web has exited (status 2): start it with docker start web")
}

func TestNeverStays(t *testing.T) {
	f := newFake(t, running(ended(t), "1"))
	noLeak(t)
	within(t, 2*time.Second, func() {
		wantError(t, f.engine().Container("web"), fs.ErrNotExist, "container web has no process that stays: see docker logs web")
	})
	if n := len(f.requests()); n != 5 {
		t.Errorf("asked %d times", n)
	}
}

func TestDeadlineWhileItChanges(t *testing.T) {
	f := newFake(t, running(ended(t), "1"))
	noLeak(t)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
	defer cancel()
	_, err := f.engine().Container("web").Open(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestNetworkOf(t *testing.T) {
	pid := process(t)
	joined := func(mode container.NetworkMode) answer {
		a := running(pid, "1")
		c := a.body.(container.InspectResponse)
		c.HostConfig = &container.HostConfig{NetworkMode: mode}
		return answer{a.status, c}
	}
	router := answer{http.StatusOK, container.InspectResponse{ID: "1", Name: "/router", State: &container.State{}}}
	for _, row := range []struct {
		name   string
		mode   container.NetworkMode
		answer answer
		want   string
	}{
		{"running", "container:0123", router, "router"},
		{"gone", "container:0123", notFound(), "0123"},
		{"nonsense", "container:../x", notFound(), "../x"},
		{"host", "host", notFound(), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFake(t, joined(row.mode), joined(row.mode), row.answer)
			noLeak(t)
			if got := mustOpen(t, f.engine().Container("web")).NetworkOf; got != row.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestEngineFails(t *testing.T) {
	f := newFake(t, answer{http.StatusInternalServerError, map[string]string{"message": "two\nlines"}})
	host := "unix://" + f.sock
	wantError(t, f.engine().Container("web"), nil, "inspect container web at "+host+": Error response from daemon: two lines")

	f = newFake(t, answer{http.StatusOK, map[string]string{}})
	host = "unix://" + f.sock
	wantError(t, f.engine().Container("web"), nil, "inspect container web: the answer describes none: is a Docker engine at "+host+"?")

	f = newFake(t, notFound())
	wantError(t, f.engine().Container("web"), fs.ErrNotExist, `no container "web": see docker ps -a`)
}

func TestAddresses(t *testing.T) {
	for _, row := range []struct {
		name, host string
		class      error
		want       string
	}{
		{"remote", "tcp://10.0.0.1:2375", errors.ErrUnsupported, "the Docker engine at tcp://10.0.0.1:2375 may be another machine's: run there, with DOCKER_HOST=unix:///var/run/docker.sock"},
		{"ssh", "ssh://u@h", errors.ErrUnsupported, "the Docker engine at ssh://u@h may be another machine's: run there, with DOCKER_HOST=unix:///var/run/docker.sock"},
		{"no scheme", "/run/docker.sock", fs.ErrInvalid, `"/run/docker.sock" is no engine's address: it looks like unix:///var/run/docker.sock`},
		{"no path", "unix://", fs.ErrInvalid, `"unix://" is no engine's address: it looks like unix:///var/run/docker.sock`},
		{"absent", "unix:///nowhere/sock", syscall.ECONNREFUSED, "no Docker engine at unix:///nowhere/sock: start it (systemctl start docker), or set DOCKER_HOST to its socket"},
	} {
		t.Run(row.name, func(t *testing.T) {
			noLeak(t)
			wantError(t, docker.Engine{Host: row.host}.Container("web"), row.class, row.want)
			t.Setenv("DOCKER_HOST", row.host)
			wantError(t, docker.Container("web"), row.class, row.want)
		})
	}
}

func TestUnusableSettings(t *testing.T) {
	f := newFake(t, notFound())
	host := "unix://" + f.sock
	long := "unix:///" + strings.Repeat("x", 200)
	wantError(t, docker.Engine{Host: long}.Container("web"), fs.ErrInvalid,
		"use the Docker engine at "+long+": unix socket path \""+long[len("unix://"):]+"\" is too long")
	t.Setenv("DOCKER_API_VERSION", "new")
	if _, err := (docker.Engine{Host: host}).Container("web").Open(t.Context()); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	// It is Docker's alone, and of an engine that is there.
	wantError(t, docker.Engine{Host: host, Program: "podman"}.Container("web"), fs.ErrNotExist, "no container \"web\": see podman ps -a")
	none := "unix://" + socketPath(t)
	wantError(t, docker.Engine{Host: none}.Container("web"), syscall.ECONNREFUSED,
		"no Docker engine at "+none+": start it (systemctl start docker), or set DOCKER_HOST to its socket")
}

func TestStaleSocket(t *testing.T) {
	path := socketPath(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	wantError(t, docker.Engine{Host: "unix://" + path}.Container("web"), syscall.ECONNREFUSED,
		"no Docker engine at unix://"+path+": start it (systemctl start docker), or set DOCKER_HOST to its socket")
}

func TestForbiddenSocket(t *testing.T) {
	f := newFake(t, notFound())
	if err := os.Chmod(f.sock, 0); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		wantError(t, f.engine().Container("web"), fs.ErrPermission,
			"connect to the Docker engine at unix://"+f.sock+": permission denied: run as root, or join the socket's group")
	})
}

// asNobody calls f on a thread that opens files as nobody does, also for root;
// see setfsuid(2).
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setfsuid(0) }()
	f()
}

// TestHungEngine: an engine that takes connections, or answers a ping, and then
// says nothing costs the deadline and not more.
func TestHungEngine(t *testing.T) {
	for _, row := range []struct {
		name string
		hang func(w http.ResponseWriter, r *http.Request) bool
	}{
		{"at once", func(http.ResponseWriter, *http.Request) bool { return true }},
		{"after the ping", func(w http.ResponseWriter, r *http.Request) bool { return !strings.HasSuffix(r.URL.Path, "/_ping") }},
		{"in the answer", func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/_ping") {
				return false
			}
			_, _ = fmt.Fprint(w, `{"Id":`)
			_ = http.NewResponseController(w).Flush()
			return true
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := socketPath(t)
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			serve(t, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if row.hang(w, r) {
					<-r.Context().Done()
				}
			}))
			hungEngine(t, "unix://"+path)
		})
	}
	t.Run("without accepting", func(t *testing.T) {
		path := socketPath(t)
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		hungEngine(t, "unix://"+path)
	})
}

func hungEngine(t *testing.T, host string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	within(t, time.Second, func() {
		_, err := docker.Engine{Host: host}.Container("web").Open(ctx)
		want := "the Docker engine at " + host + " does not answer: context deadline exceeded"
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != want {
			t.Errorf("got %v", err)
		}
	})
}

func TestCancelledContext(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	f := newFake(t, notFound())
	if _, err := f.engine().Container("web").Open(ctx); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	if asked := f.requests(); len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}
}

// TestBrokenEngine: an engine that ends in the middle says nothing about its
// containers.
func TestBrokenEngine(t *testing.T) {
	path := socketPath(t)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	_, err = docker.Engine{Host: "unix://" + path}.Container("web").Open(t.Context())
	if !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

// TestEveryStepFails: whichever step fails, the error comes out and nothing
// stays open.
func TestEveryStepFails(t *testing.T) {
	f := newFake(t, running(process(t), "1"))
	noLeak(t)
	broken := errors.New("broken step")
	for fail := 1; ; fail++ {
		step := 0
		ctx := fault.With(t.Context(), func(string) error {
			if step++; step == fail {
				return broken
			}
			return nil
		})
		g, err := f.engine().Container("web").Open(ctx)
		if err == nil {
			_ = g.Close()
			if fail < 4 {
				t.Errorf("only %d steps", fail-1)
			}
			return
		}
		if !errors.Is(err, broken) {
			t.Errorf("step %d: %v", fail, err)
		}
	}
}

// foreignSock tells the test binary to be an engine of its own PID namespace.
const foreignSock = "PIPEWORK_TEST_FOREIGN_ENGINE"

// foreignEngine answers every inspect with a running container web whose
// process has the number that the address ends in, until it is killed.
func foreignEngine() {
	path := os.Getenv(foreignSock)
	if path == "" {
		return
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	pid, err := strconv.Atoi(path[strings.LastIndex(path, ".")+1:])
	if err != nil {
		panic(err)
	}
	panic(http.Serve(l, &fake{script: []answer{running(pid, "1")}}))
}

// TestEngineElsewhere: this program in a container and the engine outside is
// the mistake; here the engine is inside, which is as far apart. The process it
// names exists here, and must not be taken for its container.
func TestEngineElsewhere(t *testing.T) {
	for name, pid := range map[string]int{"another's process": process(t), "no process": ended(t)} {
		t.Run(name, func(t *testing.T) {
			host := "unix://" + startForeignEngine(t, pid)
			wantError(t, docker.Engine{Host: host}.Container("web"), errors.ErrUnsupported,
				"container web: the engine at "+host+" counts processes in another PID namespace: run this program in the host's (docker run --pid=host)")
		})
	}
}

// startForeignEngine starts a fake engine in a PID namespace of its own and
// returns its socket.
func startForeignEngine(t *testing.T, pid int) string {
	t.Helper()
	path := fmt.Sprintf("%s.%d", socketPath(t), pid)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), foreignSock+"="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("no PID namespaces here: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	testwait.Eventually(t, "it listens", func() bool {
		conn, err := net.Dial("unix", path)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return path
}

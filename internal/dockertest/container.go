//go:build linux

package dockertest

import (
	"bytes"
	"cmp"
	"testing"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// A Container says what to run. The zero Container sleeps, on Docker's default
// bridge, under a name that the engine makes up. Containers end with their
// engine, if not before.
type Container struct {
	Name    string
	Image   string   // "" is what Engine.Image returns
	Network string   // "" (Docker's bridge), "none", "host", or "container:NAME"
	Cmd     []string // nil sleeps for ever
	Env     []string
	Labels  map[string]string
	Restart container.RestartPolicyMode // "" is never
	// Endpoint is how it is on the Network; nil: as the engine chooses.
	Endpoint *network.EndpointSettings
}

// Run creates and starts a container and returns its ID.
func (e *Engine) Run(t testing.TB, c Container) string {
	t.Helper()
	id := e.Create(t, c)
	e.StartContainer(t, id)
	return id
}

// Create creates a container, does not start it, and returns its ID.
func (e *Engine) Create(t testing.TB, c Container) string {
	t.Helper()
	cmd := c.Cmd
	if cmd == nil {
		cmd = []string{"sleep", "1000000"}
	}
	var endpoints *network.NetworkingConfig
	if c.Endpoint != nil {
		endpoints = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{c.Network: c.Endpoint}}
	}
	res, err := e.client.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: c.Name, NetworkingConfig: endpoints,
		Config: &container.Config{Image: cmp.Or(c.Image, e.Image(t)), Cmd: cmd, Env: c.Env, Labels: c.Labels},
		HostConfig: &container.HostConfig{
			NetworkMode:   container.NetworkMode(c.Network),
			RestartPolicy: container.RestartPolicy{Name: c.Restart},
		},
	})
	if err != nil {
		t.Fatalf("create container %q: %v", c.Name, err)
	}
	return res.ID
}

// StartContainer starts a container that was created or has ended.
func (e *Engine) StartContainer(t testing.TB, name string) {
	t.Helper()
	_, err := e.client.ContainerStart(t.Context(), name, client.ContainerStartOptions{})
	check(t, "start", name, err)
}

// Restart ends and starts a container: it gets a new process and namespace.
func (e *Engine) Restart(t testing.TB, name string) {
	t.Helper()
	_, err := e.client.ContainerRestart(t.Context(), name, client.ContainerRestartOptions{Timeout: new(int)})
	check(t, "restart", name, err)
}

// Stop ends a container's processes; it can be started again.
func (e *Engine) Stop(t testing.TB, name string) {
	t.Helper()
	_, err := e.client.ContainerStop(t.Context(), name, client.ContainerStopOptions{Timeout: new(int)})
	check(t, "stop", name, err)
}

// Pause freezes a container.
func (e *Engine) Pause(t testing.TB, name string) {
	t.Helper()
	_, err := e.client.ContainerPause(t.Context(), name, client.ContainerPauseOptions{})
	check(t, "pause", name, err)
}

// Unpause lets a paused container go on.
func (e *Engine) Unpause(t testing.TB, name string) {
	t.Helper()
	_, err := e.client.ContainerUnpause(t.Context(), name, client.ContainerUnpauseOptions{})
	check(t, "unpause", name, err)
}

// Remove ends a container and removes it.
func (e *Engine) Remove(t testing.TB, name string) {
	t.Helper()
	_, err := e.client.ContainerRemove(t.Context(), name, client.ContainerRemoveOptions{Force: true})
	check(t, "remove", name, err)
}

// Inspect returns what the engine says about a container.
func (e *Engine) Inspect(t testing.TB, name string) container.InspectResponse {
	t.Helper()
	res, err := e.client.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
	check(t, "inspect", name, err)
	return res.Container
}

// Output runs a container to its end, removes it, and returns what it wrote.
func (e *Engine) Output(t testing.TB, c Container) string {
	t.Helper()
	id := e.Create(t, c)
	wait := e.client.ContainerWait(t.Context(), id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	e.StartContainer(t, id)
	select {
	case <-wait.Result:
	case err := <-wait.Error:
		check(t, "wait for", id, err)
	}
	logs, err := e.client.ContainerLogs(t.Context(), id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	check(t, "read the output of", id, err)
	defer func() { _ = logs.Close() }()
	var out bytes.Buffer
	_, err = stdcopy.StdCopy(&out, &out, logs)
	check(t, "read the output of", id, err)
	e.Remove(t, id)
	return out.String()
}

// Exec runs a program in a container and returns what it wrote and its status.
func (e *Engine) Exec(t testing.TB, name string, cmd ...string) (output string, status int) {
	t.Helper()
	exec, err := e.client.ExecCreate(t.Context(), name, client.ExecCreateOptions{Cmd: cmd, AttachStdout: true, AttachStderr: true})
	check(t, "exec in", name, err)
	stream, err := e.client.ExecAttach(t.Context(), exec.ID, client.ExecAttachOptions{})
	check(t, "exec in", name, err)
	defer stream.Close()
	var out bytes.Buffer
	_, err = stdcopy.StdCopy(&out, &out, stream.Reader)
	check(t, "exec in", name, err)
	res, err := e.client.ExecInspect(t.Context(), exec.ID, client.ExecInspectOptions{})
	check(t, "exec in", name, err)
	return out.String(), res.ExitCode
}

func check(t testing.TB, what, name string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s container %s: %v", what, name, err)
	}
}

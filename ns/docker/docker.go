// Package docker finds guests by the Docker Engine API, which Podman's socket
// speaks as well.
//
// The engine must run on this machine and be reached by a Unix socket: it says
// which process a container is, and only here does that number mean anything.
// A program that runs in a container itself needs the socket mounted and the
// host's PID namespace (docker run --pid=host).
//
// The process that an engine names is never taken on trust: the number may
// already belong to another one. It counts only if its control group bears the
// container's ID, or, where there is no such group, if the engine names the
// same process of the same start again while it is held.
//
// Reaching the socket takes root or membership in its group, opening a
// container's namespace CAP_SYS_PTRACE over its process; root has both.
package docker

import (
	"strings"

	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A Container is the name, the ID or an unambiguous beginning of the ID of a
// container on the engine that the zero [Engine] stands for. It is short for
// Engine{}.Container and opens as [Engine.Container] says.
type Container string

var _ ns.Target = Container("")

// An Engine is one Docker Engine, or Podman's service, on this machine. The
// zero Engine is the one that the docker command would ask. An Engine holds no
// connection: each Open makes one and closes it.
type Engine struct {
	// Host is the address of the engine's socket, such as
	// unix:///run/podman/podman.sock. "" takes the environment's DOCKER_HOST,
	// and where that is not set unix:///var/run/docker.sock. The docker
	// command's contexts are not looked at.
	Host string
	// Program is the command that people use with the engine, which errors tell
	// them to type. "" stands for docker. With podman the socket is by default the
	// one that the podman command would ask (CONTAINER_HOST in the environment,
	// root's /run/podman/podman.sock, or for other users podman/podman.sock in
	// XDG_RUNTIME_DIR); see package ns/podman.
	Program string
}

// Container is the container with this name, ID or unambiguous beginning of an
// ID. A slash before the name, as the engine itself writes it, is allowed.
//
// Opening it asks the engine (in the API version that both understand, or, of Docker's, in
// DOCKER_API_VERSION) and holds the namespace of the container's first process
// open. A paused container is opened like a running one. For a container that
// shares another's network (--net=container:X) it is the namespace the process
// is really in, and NetworkOf says X.
//
// The errors of Open satisfy, by errors.Is:
//   - [fs.ErrNotExist]: no such container, or one that does not run (created,
//     exited, restarting, dead, being removed);
//   - [fs.ErrInvalid]: this cannot be a container's name, it begins the IDs of
//     several containers, or the engine's address is none;
//   - [fs.ErrPermission]: the socket or the process may not be opened;
//   - syscall.ECONNREFUSED: no engine is there;
//   - [errors.ErrUnsupported]: the engine is on another machine or in another
//     PID namespace, or this is not Linux;
//   - the cause of ctx's end, when the engine has not answered by then.
func (e Engine) Container(name string) ns.Target { return target{engine: e, name: name} }

type target struct {
	engine Engine
	name   string
}

func (t target) String() string { return t.name }

// isName says whether Docker and Podman allow it as a container's name; every ID is
// one too. None has a meaning of its own in the path of a URL.
func isName(s string) bool { return charset.Word(s, 255, "", "_.-") }

// reference checks what the user calls a container, so that nothing else can
// ever reach the engine's API as one.
func reference(name string) (string, error) {
	ref := strings.TrimPrefix(name, "/")
	if !isName(ref) {
		return "", errs.NoName("%q cannot be a container's name or ID: those are letters, digits, '_', '.' and '-'", name)
	}
	return ref, nil
}

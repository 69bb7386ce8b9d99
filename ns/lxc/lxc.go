// Package lxc finds the containers of LXC, version 3 and later, by their names.
//
// It asks the container's monitor, over the command socket that lxc-info(1) asks
// too. Anybody may make a socket of that name, so the answer counts only if who
// made it is root, the caller or the owner of the containers' directory; and other
// users than root speak only for processes in their own user namespaces, root for those in
// the container's control group: a container whose root is the machine's, in the host's
// network, may listen there, too. Where nobody answers, as for containers of another directory (lxc-start -P), the control group
// lxc.payload.NAME is looked for.
//
// The socket is in the network namespace of the monitor, that is the host's: the
// calling thread must be there. Opening the container's namespace needs
// CAP_SYS_PTRACE over its first process; root has it.
package lxc

import (
	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A Container is the name of a container in the directory that the zero [Dir]
// stands for.
type Container string

// A Dir is where containers are kept (lxcpath). "" stands for what
// /etc/lxc/lxc.conf says as lxc.lxcpath, or else /var/lib/lxc.
type Dir string

// Container is the container with this name.
//
// The errors of its Open satisfy, by errors.Is:
//   - [fs.ErrNotExist]: no such container, or one that does not run;
//   - [fs.ErrInvalid]: this cannot be a container's name;
//   - [fs.ErrPermission]: the process may not be opened, or somebody else answers in
//     the container's name;
//   - [errors.ErrUnsupported]: its monitor is in another PID namespace, or this is
//     not Linux;
//   - the cause of ctx's end, when the monitor has not answered by then.
func (d Dir) Container(name string) ns.Target { return target{d, name} }

type target struct {
	dir  Dir
	name string
}

func (t target) String() string { return t.name }

var (
	_ ns.Target = Container("")
	_ ns.Target = target{}
)

// isName says whether it may be asked for; LXC itself refuses only slashes.
func isName(s string) bool { return charset.Word(s, 255, "_", "_.@:+-") }

func (t target) check() error {
	if !isName(t.name) {
		return errs.NoName("%q cannot be an LXC container's name: those are letters, digits and _.@:+-", t.name)
	}
	return nil
}

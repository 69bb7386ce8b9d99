// Package cgroup finds guests by the name of their control group, as the classic
// pipework tool did: "web" is the group /lxc/web, and "web.scope" the group
// /machine.slice/web.scope, in version 1 (the hierarchy of the devices
// controller), in version 2, and where both are mounted; see cgroups(7).
//
// A name is compared whole with the names of directories: it is neither a pattern
// nor a path. Groups that belong to another user than root and the caller's do
// not count, since whoever owns a part of the tree could name a group there after
// somebody else's guest; nor do those of LXC's monitors (lxc.monitor.NAME), which
// run on the host.
package cgroup

import (
	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A Group is the guest whose processes are in the control group of this name,
// anywhere in the tree; or, where it has none of its own, in the group init.scope,
// payload or container in it. Its process is the one that started first. Reading the tree needs no privilege, opening the process
// CAP_SYS_PTRACE over it.
//
// The errors of Open satisfy, by errors.Is:
//   - [fs.ErrNotExist]: no group has this name, or it has no process;
//   - [fs.ErrInvalid]: this cannot be a group's name, or several guests have groups
//     of this name;
//   - [fs.ErrPermission]: the process may not be opened;
//   - [errors.ErrUnsupported]: no control groups are mounted, or this is not Linux.
type Group string

var _ ns.Target = Group("")

// isName says whether it may be searched for: what runtimes and systemd call their
// groups.
func isName(s string) bool { return charset.Word(s, 255, "_", `_.@:+\-`) }

func (g Group) check() error {
	if !isName(string(g)) {
		return errs.NoName("%q cannot be a control group's name: those are letters, digits and _.@:+-\\, without slashes", string(g))
	}
	return nil
}

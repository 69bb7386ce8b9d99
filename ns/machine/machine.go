// Package machine finds the containers that are registered with systemd-machined,
// such as those of systemd-nspawn, by their machine's name.
//
// It reads what systemd-machined keeps in /run/systemd/machines, where libsystemd
// (sd_machine_get_class(3)) reads it too, and asks no bus. A process counts as the
// machine's leader only while it is in the machine's unit. Opening its namespace
// needs CAP_SYS_PTRACE over it; root has it.
//
// A container that was started with --register=no has no name here: give the PID
// of its first process instead.
package machine

import (
	"strings"

	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A Machine is the name of a container in the directory that the zero [Dir]
// stands for.
type Machine string

// A Dir is where systemd-machined keeps what it knows. "" stands for
// /run/systemd/machines.
type Dir string

// Machine is the container with this name, as machinectl(1) lists it.
//
// The errors of its Open satisfy, by errors.Is:
//   - [fs.ErrNotExist]: no such machine is registered, it has ended, or there is no
//     systemd-machined;
//   - [fs.ErrInvalid]: this cannot be a machine's name, or it is a virtual machine;
//   - [fs.ErrPermission]: the process may not be opened;
//   - [errors.ErrUnsupported]: this is not Linux.
func (d Dir) Machine(name string) ns.Target { return target{d, name} }

type target struct {
	dir  Dir
	name string
}

func (t target) String() string { return t.name }

var (
	_ ns.Target = Machine("")
	_ ns.Target = target{}
)

// isName says whether systemd allows it: a host's name (hostname_is_valid in
// src/basic/hostname-util.c).
func isName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !charset.Word(label, 64, "_", "_-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return len(s) <= 64
}

func (t target) check() error {
	if !isName(t.name) {
		return errs.NoName("%q cannot be a machine's name: those are a host's, letters, digits, '-' and '.'", t.name)
	}
	return nil
}

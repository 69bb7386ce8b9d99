// Package containerd finds the containers of containerd, and so those of ctr,
// nerdctl and Kubernetes, by namespace and ID.
//
// It reads what containerd's shims write into containerd's state directory
// (io.containerd.runtime.v2.task/NAMESPACE/ID), which needs root, and asks no
// daemon. A number in a file may be out of date: a process counts as the
// container's only if it is in the control group that the container was made with.
// Opening its namespace needs CAP_SYS_PTRACE over it; root has it.
//
// Containers in virtual machines (Kata) are not found.
package containerd

import (
	"strings"

	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// A Container is "NAMESPACE/ID", or an ID that only one namespace has, in the
// directory that the zero [State] stands for.
type Container string

// State is containerd's state directory. "" stands for the directory of the
// socket that CONTAINERD_ADDRESS names, as ctr and nerdctl understand it, or else
// /run/containerd; that of k3s is /run/k3s/containerd.
type State string

// Container is the container "NAMESPACE/ID", or with an ID that only one
// namespace has. An ID is not shortened.
//
// The errors of its Open satisfy, by errors.Is:
//   - [fs.ErrNotExist]: no such container, or one that does not run;
//   - [fs.ErrInvalid]: this cannot be a container's ID, or several namespaces have it;
//   - [fs.ErrPermission]: the directory or the process may not be opened;
//   - [errors.ErrUnsupported]: this is not Linux.
func (s State) Container(name string) ns.Target { return target{s, name} }

type target struct {
	state State
	name  string
}

// String is the ID alone, which is the guest's name.
func (c Container) String() string { return target{name: string(c)}.String() }

func (t target) String() string { return t.name[strings.LastIndexByte(t.name, '/')+1:] }

var (
	_ ns.Target = Container("")
	_ ns.Target = target{}
)

// split checks what the user calls a container. The namespace is "" where none
// was given.
func (t target) split() (namespace, id string, err error) {
	id = t.name
	first, rest, both := strings.Cut(t.name, "/")
	if both {
		namespace, id = first, rest
	}
	if both && !valid(namespace) || !valid(id) {
		return "", "", errs.NoName("%q cannot be a container of containerd: write NAMESPACE/ID, or the ID: letters and digits with single '.', '_' and '-' between", t.name)
	}
	return namespace, id, nil
}

// valid says whether containerd allows it as a namespace and as an ID: letters and
// digits, with single separators between them (pkg/identifiers/validate.go).
func valid(name string) bool {
	parts := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("._-", r) })
	separators := len(name)
	for _, part := range parts {
		if !charset.Word(part, 76, "", "") {
			return false
		}
		separators -= len(part)
	}
	return len(name) <= 76 && separators == len(parts)-1
}

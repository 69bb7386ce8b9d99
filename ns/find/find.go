// Package find turns what people call a guest into a Target.
//
// A guest is called by the runtime and a name (docker:web), or by the bare name,
// which every runtime on the machine is asked for. Names are compared whole; they
// are never patterns, and never become part of a path but where they are checked
// to be a single plain word.
package find

import (
	"context"
	"fmt"

	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/cgroup"
	"github.com/go-pipework/pipework/ns/containerd"
	"github.com/go-pipework/pipework/ns/docker"
	"github.com/go-pipework/pipework/ns/lxc"
	"github.com/go-pipework/pipework/ns/machine"
	"github.com/go-pipework/pipework/ns/podman"
)

// Guest is the guest that a word means:
//
//	docker:web         a container of Docker's, by name, ID or beginning of an ID
//	podman:web         one of the caller's Podman; podman:alice/web one of alice's
//	containerd:ns/web  one of containerd's, by namespace and ID, or by the ID alone
//	lxc:web            one of LXC's
//	machine:web        one of systemd-nspawn's, or whatever machinectl lists; also nspawn:web
//	netns:blue         what ip-netns(8) named so; also netns:/a/path
//	cgroup:web         the processes in the control group of this name
//	pid:1234           the process with this number
//	cni:lan/3f2a       what a CNI runtime attached to the network lan, as far as it is recorded
//	docker-network:lan/web  what a Docker network of pipework's attached, as far as it is recorded
//	/proc/1234/ns/net  a namespace's file
//	/web               web, as Docker writes it, where there is no such file
//	web                any of the first seven kinds; see [Name]
//
// The word is evaluated when the Target is opened. A runtime that hangs costs three
// seconds of a bare name's time, and fifteen when it is given; see [Name].
func Guest(word string) ns.Target { return Target(ns.ParseRef(word)) }

// Target is [Guest] for the Ref that the word is the text of.
func Target(ref ns.Ref) ns.Target {
	kind := ref.Kind
	switch {
	case kind == "":
		return Name{Name: ref.Name}
	case kind == ns.File && dockersSpelling(ref):
		return slashed{ref.Name}
	case (kind == ns.File || kind == ns.Netns) && strings.HasPrefix(ref.Name, "/"):
		return ns.Path(ref.Name)
	case kind == ns.Process:
		return pid(ref.Name)
	case kind == ns.Netns:
		return named(ref.Name)
	case kind.ByFile():
		return attached{ref}
	case kind == "nspawn":
		kind = ns.Machine
	}
	for _, p := range places {
		if p.kind == kind {
			return explicit{p, ref.Name}
		}
	}
	return refused{ref.String(), "%q: no kind of guest is called %q: they are docker, podman, containerd, lxc, machine, netns, cgroup, pid", []any{ref.String(), string(kind)}}
}

// A place is where a bare name is looked for.
type place struct {
	kind  ns.Kind
	guest func(name string) ns.Target
}

// places are in the order in which a guest that several of them know is named, and
// in which errors list them.
var places = [...]place{
	{ns.Docker, func(name string) ns.Target { return docker.Container(name) }},
	{ns.Podman, func(name string) ns.Target { return podman.Container(name) }},
	{ns.Containerd, func(name string) ns.Target { return containerd.Container(name) }},
	{ns.LXC, func(name string) ns.Target { return lxc.Container(name) }},
	{ns.Machine, func(name string) ns.Target { return machine.Machine(name) }},
	{ns.Netns, named},
	{ns.Cgroup, func(name string) ns.Target { return cgroup.Group(name) }},
}

// An explicit guest is looked for in one place, which has a while to answer.
type explicit struct {
	place
	name string
}

// String is the guest's name.
func (e explicit) String() string { return fmt.Sprint(e.guest(e.name)) }

// Open asks the place.
func (e explicit) Open(ctx context.Context) (*ns.Guest, error) {
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errs.New(context.DeadlineExceeded, "waited %v", patience))
	defer cancel()
	return e.guest(e.name).Open(ctx)
}

// A Name is the guest that any of docker, podman, containerd, lxc, machine, netns
// and cgroup calls so. All are asked at once, and those that this machine does not
// have cost nothing. The same namespace found under several roofs is one guest,
// named by the first in that order. Root's bare names are not looked up among the
// containers of other users.
//
// The errors of Open satisfy, by errors.Is:
//   - [fs.ErrInvalid]: this cannot be a name, or several guests have it, whether they
//     run or not: the error spells each out;
//   - [fs.ErrNotExist]: nobody is called so, or the one who is does not run;
//   - what a runtime failed with, such as [context.DeadlineExceeded], when it may
//     have the guest and did not say.
type Name struct {
	Name string
	// Patience is how long each runtime may take to answer; 0 stands for three
	// seconds.
	Patience time.Duration
}

var _ ns.Target = Name{}

// String is the name.
func (n Name) String() string { return n.Name }

// isNamespace says whether it is taken for a name of ip-netns(8): letters and digits
// of any script, and a few signs. Others can be given as a path.
func isNamespace(name string) bool {
	strange := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !strings.ContainsRune("_.@:+-", r)
	}
	return name != "" && !strings.ContainsRune(".@:+-", rune(name[0])) &&
		utf8.RuneCountInString(name) <= 255 && !strings.ContainsFunc(name, strange)
}

// named is the guest that ip-netns(8) gave a name.
func named(name string) ns.Target {
	if !isNamespace(name) {
		return refused{name, "%q cannot be the name of a network namespace here: give its path, as in netns:/run/netns/blue", []any{name}}
	}
	return ns.Named(name)
}

// pid is the guest that a process with this number runs in.
func pid(text string) ns.Target {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return refused{text, "%q is no PID: write a number, as in pid:1234", []any{text}}
	}
	return ns.PID(n)
}

// A refused word cannot be a guest.
type refused struct {
	word   string
	format string
	args   []any
}

func (r refused) String() string { return r.word }

// Open says why not.
func (r refused) Open(context.Context) (*ns.Guest, error) {
	return nil, errs.NoName(r.format, r.args...)
}

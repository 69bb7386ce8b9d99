package ns

import (
	"path"
	"strings"
)

// A Kind is what kind of guest a [Ref] names: the runtime that knows it, or how else
// it is found.
type Kind string

// The kinds of guests.
const (
	Docker     Kind = "docker"
	Podman     Kind = "podman"
	Containerd Kind = "containerd"
	LXC        Kind = "lxc"
	Machine    Kind = "machine" // systemd-nspawn, or whatever machinectl lists
	Netns      Kind = "netns"   // a name of ip-netns(8), or a path
	Cgroup     Kind = "cgroup"  // the processes of a control group
	Process    Kind = "pid"
	File       Kind = "path" // a namespace's file; its text is the path alone, which begins with a slash
	CNI        Kind = "cni"  // what a CNI runtime attached: network/container, with the namespace's file as its ID

	// DockerNetwork is what a network of `pipework docker-driver` attached: network/container,
	// with the namespace's file as its ID.
	DockerNetwork Kind = "docker-network"
)

// ByFile says that the ID of such a guest is its namespace's file, which only its record knows.
func (k Kind) ByFile() bool { return k == CNI || k == DockerNetwork }

// A Ref names a guest. Its text is what people type, and what records and marks
// hold: "docker:web", "podman:alice/web", "containerd:k8s.io/web", "netns:blue",
// "pid:1234", "/run/netns/blue", or "web" alone for a guest of any kind.
type Ref struct {
	// Kind is empty for a bare name, which any kind may know. A kind that there is
	// not is kept: resolving the Ref says so.
	Kind Kind
	// Name is what the kind calls the guest. Podman's may begin with the user that the
	// container is of, containerd's with a namespace, CNI's and DockerNetwork's begins with the network, each
	// before a slash.
	Name string
	// ID is the runtime's full identifier; empty where there is none, or where it is
	// not known. It is not part of the text.
	ID string
}

// ParseRef reads the text of a Ref. Every text is one; whether there is such a guest,
// and such a kind, is found out by whoever looks for it.
func ParseRef(text string) Ref {
	if strings.HasPrefix(text, "/") {
		return Ref{Kind: File, Name: text}
	}
	if kind, name, given := strings.Cut(text, ":"); given && kind != "" {
		return Ref{Kind: Kind(kind), Name: name}
	}
	return Ref{Name: text}
}

// String is the text that [ParseRef] reads.
func (r Ref) String() string {
	if r.Kind == "" || r.Kind == File && strings.HasPrefix(r.Name, "/") {
		return r.Name
	}
	return string(r.Kind) + ":" + r.Name
}

// MarshalText writes the text of the Ref, without the ID.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (r *Ref) UnmarshalText(text []byte) error {
	*r = ParseRef(string(text))
	return nil
}

// WithID is r with this ID.
func (r Ref) WithID(id string) Ref {
	r.ID = id
	return r
}

// Same says whether both have the same text.
func (r Ref) Same(o Ref) bool { return r.Kind == o.Kind && r.Name == o.Name }

// Owner is what stands before the slash in the name, Podman's user, containerd's
// namespace, or the network of CNI's and DockerNetwork's, and Base what follows it; a leading slash, as Docker writes it before
// names, is neither's.
func (r Ref) Owner() string {
	owner, _ := r.split()
	return owner
}

// Base is the name without its [Ref.Owner].
func (r Ref) Base() string {
	_, base := r.split()
	return base
}

func (r Ref) split() (owner, base string) {
	name := strings.TrimPrefix(r.Name, "/")
	owner, base, owned := strings.Cut(name, "/")
	if !owned || r.Kind != Podman && r.Kind != Containerd && !r.Kind.ByFile() {
		return "", name
	}
	return owner, base
}

// ByID is the Ref that means the guest by its ID, which no other guest can take over;
// not ok where the ID is not known.
func (r Ref) ByID() (byID Ref, ok bool) {
	if r.ID == "" || r.Kind == "" || r.Kind == File || r.Kind.ByFile() {
		return Ref{}, false
	}
	byID = Ref{Kind: r.Kind, Name: r.ID, ID: r.ID}
	if owner := r.Owner(); owner != "" && r.Kind == Podman {
		byID.Name = owner + "/" + r.ID
	}
	return byID, true
}

// Ephemeral says that a guest that is gone cannot come back under this Ref: the
// number of a process may go to another one, and CNI runtimes and Docker attach it anew.
func (r Ref) Ephemeral() bool {
	switch r.Kind {
	case Process, CNI, DockerNetwork:
		return true
	case Netns, File:
		return strings.HasPrefix(path.Clean(r.Name), "/proc/")
	}
	return false
}

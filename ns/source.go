package ns

import (
	"context"
	"fmt"
)

// A Source tells of the guests of one container runtime, which it names by their
// IDs. docker.Engine is one. Its methods may be called by several goroutines.
type Source interface {
	// Follow calls ready once it hears of everything that happens from then on,
	// then event for each thing that happens, in order, one at a time. It returns
	// when ctx ends or the stream breaks, never with nil.
	Follow(ctx context.Context, ready func(), event func(Event)) error
	// Running lists the guests that run.
	Running(ctx context.Context) ([]string, error)
	// Describe tells what the guest with this ID, or this name, was made with,
	// whether it runs or not. One that is not there is an error that satisfies
	// fs.ErrNotExist.
	Describe(ctx context.Context, id string) (*Container, error)
	// Container is the guest as a Target, by its ID or name.
	Container(id string) Target
	// Kind is that of its guests.
	Kind() Kind
	// String says which runtime it is, for people.
	fmt.Stringer
}

// An Action is what happened to a guest.
type Action string

// What a Source tells of.
const (
	Started Action = "start" // its first process runs
	Died    Action = "die"   // its first process has ended
	Removed Action = "destroy"
)

// An Event is one thing that happened to a guest.
type Event struct {
	Action Action
	ID     string
}

// A Container is what a runtime knows of one guest. All of it but ID is the
// choice of whoever made the container, or of the image's author: not to be
// trusted.
type Container struct {
	ID       string // the full one
	Name     string // without a slash
	Hostname string
	// Labels and Env are the container's, which has the image's among its own;
	// Env as NAME=VALUE.
	Labels map[string]string
	Env    []string
	// Image is what it was made of, as that was written, such as nginx:1.25.
	Image string
	// User is whose engine it is, where that is not root's. It is not the choice of whoever
	// made the container.
	User string
	// ImageLabels and ImageEnv are those of its image, if ImageKnown: an image
	// may have been removed since.
	ImageKnown  bool
	ImageLabels map[string]string
	ImageEnv    []string
}

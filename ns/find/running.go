package find

import (
	"context"
	"os"
	"slices"
	"sync"

	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
)

// runningMost is how many guests Running tells of one runtime.
const runningMost = 200

// Running are the guests that ip-netns(8) has named, and the containers of Docker and Podman
// that run, as far as these answer until ctx ends. It is what completion offers: whoever is not
// among them may be a guest all the same.
func Running(ctx context.Context) (all []ns.Ref) {
	files, _ := os.ReadDir("/run/netns")
	for _, f := range files {
		all = append(all, ns.Ref{Kind: ns.Netns, Name: f.Name()})
	}
	engines := docker.Engines()
	found := make([][]ns.Ref, len(engines))
	var asked sync.WaitGroup
	for i, engine := range engines {
		asked.Go(func() { found[i] = containers(ctx, engine) })
	}
	asked.Wait()
	return slices.Concat(append([][]ns.Ref{all}, found...)...)
}

// containers are a runtime's containers.
func containers(ctx context.Context, s ns.Source) (all []ns.Ref) {
	ids, _ := s.Running(ctx)
	for _, id := range ids[:min(len(ids), runningMost)] {
		if c, err := s.Describe(ctx, id); err == nil {
			all = append(all, ns.Ref{Kind: s.Kind(), Name: c.Name, ID: c.ID})
		}
	}
	return all
}

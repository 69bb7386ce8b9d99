package cli

import (
	"context"
	"net"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
	"github.com/go-pipework/pipework/ns/find"
)

// patience is how long somebody who presses Tab waits for a runtime.
const patience = 500 * time.Millisecond

// completeLine has the shell offer the host's interfaces, and then guests.
func completeLine(verb *cobra.Command) {
	verb.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return hostInterfaces(), cobra.ShellCompDirectiveNoFileComp
		case 1:
			return guests(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeGuests has the shell offer guests, and interfaces of the one that was named
// where the verb has -i.
func completeGuests(verb *cobra.Command) {
	verb.ValidArgsFunction = func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return guests(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
	}
	if verb.Flags().Lookup("interface") == nil {
		return
	}
	_ = verb.RegisterFlagCompletionFunc("interface", func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), patience)
		defer cancel()
		if len(args) > 0 {
			all, _ := pipework.List(ctx, find.Guest(args[0]))
			for _, at := range all {
				names = append(names, Line(at.Name))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

func hostInterfaces() (names []string) {
	all, _ := net.Interfaces()
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 {
			names = append(names, i.Name)
		}
	}
	return names
}

// guests are those that ip-netns(8) has named, and the containers of Docker and Podman
// that run, as far as they answer at once.
func guests(ctx context.Context) (names []string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	files, _ := os.ReadDir("/run/netns")
	for _, f := range files {
		names = append(names, Line(f.Name()))
	}
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, engine := range docker.Engines() {
		asked.Go(func() {
			running := running(ctx, engine)
			mu.Lock()
			defer mu.Unlock()
			names = append(names, running...)
		})
	}
	asked.Wait()
	return names
}

// running are the names of an engine's containers.
func running(ctx context.Context, engine ns.Source) (names []string) {
	ids, _ := engine.Running(ctx)
	for _, id := range ids[:min(len(ids), 200)] {
		if c, err := engine.Describe(ctx, id); err == nil {
			names = append(names, Line(c.Name))
		}
	}
	return names
}

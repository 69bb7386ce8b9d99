package watch_test

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"os"
	"os/signal"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/docker"
	"github.com/go-pipework/pipework/ns/find"
	"github.com/go-pipework/pipework/watch"
)

// What has a record, and what the labels of Docker's containers declare, is plugged in
// whenever it starts, until the program is interrupted.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	store, err := keep.Open("/var/lib/web", link.Kinds()...)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	w := &watch.Watcher{
		Plugger:      keep.Plugger{Store: store, Target: find.Target},
		Sources:      []ns.Source{docker.Engine{}},
		Declarations: config.Declarations{Allow: config.Allow{"br*"}},
		Machine:      watch.Machine(),
		Log:          slog.Default(),
	}
	if err := w.Run(ctx); !errors.Is(err, context.Canceled) {
		log.Print(err)
	}
}

// Command pipework-runtime is an OCI runtime for Docker in the place of runc, which it becomes:
// containers have what their labels declare before their first instruction; see docs/hooks.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-pipework/pipework/internal/cli"
	"github.com/go-pipework/pipework/plugin/ocihook"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := cli.Exit(os.Stderr, ocihook.Runtime(ctx, os.Args[1:], os.Stdin))
	stop()
	os.Exit(status)
}

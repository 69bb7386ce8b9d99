package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/option"
	"github.com/go-pipework/pipework/link"
)

// A waiting is the classic pipework --wait, typed inside a container.
type waiting struct {
	asked   bool // --wait was given
	address bool
	timeout time.Duration
}

// addFlags adds --wait and --timeout.
func (w *waiting) addFlags(fs *pflag.FlagSet) {
	option.Add(fs, "wait", "", "bool", "inside a container: wait until the interface of -i is up; --wait=address: until it has an address", func(state string) error {
		w.asked, w.address = true, state == "address"
		if state != "address" && state != "true" {
			return fmt.Errorf("--wait=%q is unknown: write --wait, or --wait=address", state)
		}
		return nil
	})
	fs.Lookup("wait").NoOptDefVal = "true"
	option.Duration(fs, &w.timeout, "timeout", "with --wait: how long, as 10s (as long as it takes)")
}

// check refuses --timeout without --wait.
func (w *waiting) check() error {
	if w.timeout > 0 && !w.asked {
		return usage("--timeout belongs to --wait: write pipework --wait --timeout 10s, or leave it out")
	}
	return nil
}

// wait returns once the interface is there.
func (w *waiting) wait(ctx context.Context, args []string, name string) error {
	if len(args) == 1 && args[0] == "address" { // --wait address
		w.address, args = true, nil
	}
	if err := Count(args, 0, 0, "--wait[=address] [-i interface] [--timeout 10s]"); err != nil {
		return err
	}
	if w.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	state := link.Running
	if w.address {
		state = link.Addressed
	}
	return link.Await(ctx, nil, cmp.Or(name, pipework.DefaultName), state)
}

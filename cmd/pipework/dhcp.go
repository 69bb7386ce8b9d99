package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/dhcp/program"
)

// plug attaches, with the address that the line asks for. keep, unless it is nil,
// keeps the lease until its context ends or the guest does, neither of which is an
// error: what -f is for is done then.
func (c *command) plug(ctx context.Context, line config.Line, s pipework.Spec) (at *pipework.Attachment, keep func(context.Context) error, err error) {
	asked, err := line.DHCPConfig()
	if err != nil {
		return nil, nil, err
	}
	guest := c.awaited(line.Guest)
	if asked.Program != "" {
		client := program.Client{Name: asked.Program, Stay: asked.Foreground, Options: asked.Options}
		if asked.Foreground || c.flags.Verbose {
			client.Output = c.warn
		}
		at, running, err := client.Attach(ctx, &c.Attacher, guest, s)
		if err == nil && running != nil {
			keep = running.Wait
		}
		return at, keep, err
	}
	at, err = c.Attach(ctx, guest, s)
	for asked.Again > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Fprintf(c.warn, "pipework: %v: again in %v\n", err, asked.Again)
		if !sleep(ctx, asked.Again) {
			return nil, nil, err
		}
		at, err = c.Attach(ctx, guest, s)
	}
	if err != nil || !asked.Foreground {
		return at, nil, err
	}
	return at, func(ctx context.Context) error { return c.keep(ctx, guest, s, at) }, nil
}

// howToKeep completes what an attachment says of its lease.
func howToKeep(at *pipework.Attachment, keep func(context.Context) error) string {
	if at.Lease == nil || keep != nil || at.Existed {
		return ""
	}
	return ": dhcp:-f does"
}

// lookAgain is how often keep looks whether the interface is still there.
const lookAgain = 2 * time.Second

// keep tells of each event on a line, until ctx ends or the interface is gone. The
// lease stays in force when it returns.
func (c *command) keep(ctx context.Context, t pipework.Target, s pipework.Spec, at *pipework.Attachment) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kept := c.KeptAll(t, s, at)
	tell := func(e dhcp.Event) {
		text := e.Reason
		if text == "" && e.Lease != nil {
			text = fmt.Sprintf("%s until %s", e.Lease.Addr, e.Lease.Expires.Format(time.DateTime))
		}
		fmt.Fprintf(c.warn, "pipework: %s: lease %s: %s\n", e.Interface, e.Kind, text)
	}
	for i := range kept {
		kept[i].Event = tell
	}
	go func() {
		for sleep(ctx, lookAgain) {
			if _, err := c.Check(ctx, t, pipework.Spec{Name: at.Name}); errors.Is(err, fs.ErrNotExist) {
				cancel()
			}
		}
	}()
	if err := dhcp.KeepAll(ctx, kept...); ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sleep waits, and says whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	return ctx.Err() == nil
}

// unplug ends the program that keeps the interface's lease, where one does, and
// detaches.
func (c *command) unplug(ctx context.Context, t pipework.Target, s pipework.Spec) error {
	if err := program.End(ctx, t, s.Name); err != nil {
		return err
	}
	if c.flags.ResolvConf != "" {
		s.DHCP = &dhcp.Config{ResolvConf: c.flags.ResolvConf}
	}
	return c.Detach(ctx, t, s)
}

// Command pipework plugs running containers into networks. It understands the
// command lines of the classic shell tool of that name, and a few verbs beside
// them; see pipework --help.
package main

import (
	"cmp"
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/charset"
	"github.com/go-pipework/pipework/internal/cli"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
	"github.com/go-pipework/pipework/ovs"
	"github.com/go-pipework/pipework/uplink"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := cli.Exit(os.Stderr, run(ctx, os.Args[1:], os.Stdout, os.Stderr))
	stop()
	os.Exit(status)
}

type command struct {
	keep.Plugger
	asked cli.Options
}

func run(ctx context.Context, args []string, out, warn io.Writer) error {
	c := &command{asked: cli.Options{Printer: cli.Printer{Out: out, Err: warn}}}
	c.Target = func(guest ns.Ref) pipework.Target { return find.Target(c.Store.Known(guest)) }
	c.OVS, c.Output, c.Follow = ovs.FromEnvironment(), charset.Escaping(warn), uplink.Follow
	defer func() { _, _ = c.OVS.Close(), c.Store.Close() }()
	verbs := cli.Verbs{Attach: c.attach, Detach: c.detach, List: c.list, Check: c.check, Collect: c.collect, Watch: c.watch, Plugger: &c.Plugger, Kinds: kinds()}
	verbs.Before = func() { c.Log, c.Probe = c.asked.Logger(), c.asked.Probe }
	return c.asked.Do(ctx, args, verbs, find.Guest)
}

// kinds are those of the links that Specs may have here.
func kinds() []link.Kind { return append(link.Kinds(), ovs.Kind()) }

// guests are those that the words mean, with their kinds, by which records are kept; none where
// a word means nobody. Errors are of the attach or the detach of an interface where op says so.
func (c *command) guests(ctx context.Context, op, iface string, words ...string) (all []ns.Ref, _ error) {
	for _, word := range words {
		ref, err := find.Resolve(ctx, ns.ParseRef(word), c.asked.WaitGuest, c.Store.Guest)
		if err != nil && op != "" {
			err = &pipework.Error{Op: op, Stage: pipework.StageGuest, Interface: cmp.Or(iface, pipework.DefaultName), Err: err}
		}
		if err != nil {
			return nil, err
		}
		all = append(all, ref)
	}
	return all, nil
}

// attach attaches as a classic command line says, or a file.
func (c *command) attach(ctx context.Context, args []string) error {
	if c.asked.Spec != "" {
		return c.attachSpec(ctx, args)
	}
	line, err := c.asked.Line.Read(args)
	if err != nil {
		return err
	}
	d, err := c.Declared(ctx, line)
	if err != nil {
		return err
	}
	client, _, _ := strings.Cut(line.DHCP, ":")
	return c.attachDeclared(ctx, line.Guest, d, client+":-f")
}

func (c *command) attachSpec(ctx context.Context, args []string) error {
	s, err := c.asked.ReadSpec(args, kinds()...)
	if err != nil {
		return err
	}
	return c.attachDeclared(ctx, args[0], keep.Declared{Spec: s}, "pipework watch")
}

// attachDeclared attaches; keeper is what keeps a lease that nobody does yet.
func (c *command) attachDeclared(ctx context.Context, guest string, d keep.Declared, keeper string) (err error) {
	var unrecorded []string
	if c.Store, unrecorded, err = c.asked.OpenRecords(kinds()...); err != nil {
		return err
	}
	guests, err := c.guests(ctx, "attach", d.Spec.Name, guest)
	if err != nil {
		return err
	}
	ref := guests[0]
	if c.asked.DryRun {
		return c.asked.ShowPlan(c.Plan(ctx, ref, d))
	}
	at, keep, err := c.Attach(ctx, ref, d)
	if c.asked.WaitGuest == 0 && find.Starts(ctx, c.Target(ref), err) {
		at, keep, err = c.Attach(ctx, ref, d)
	}
	if err != nil {
		return err
	}
	c.asked.Warn(append(at.Warnings, unrecorded...)...)
	if err := c.asked.ShowAttached(at, keep != nil, keeper); err != nil || keep == nil {
		return err
	}
	return keep(ctx)
}

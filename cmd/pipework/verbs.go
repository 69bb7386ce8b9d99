package main

import (
	"github.com/spf13/cobra"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/cli"
	"github.com/go-pipework/pipework/ns/find"
)

// verbs are the whole command line.
func (c *command) verbs() *cobra.Command {
	attach, detach := cli.Verb("attach", c.attach), cli.Verb("detach", c.detach)
	list, check, gc := cli.Verb("list", c.list), cli.Verb("check", c.check), cli.Verb("gc", c.collect)
	watch := cli.Verb("watch", c.watch)
	root := cli.Root(c.attach, attach, detach, list, check, gc, watch, cli.VersionVerb(c.Printer.Out),
		cli.Tool("route", find.Guest, "ip", "route"), cli.Tool("rule", find.Guest, "ip", "rule"), cli.Tool("tc", find.Guest, "tc"))

	cli.Bool(root.Flags(), &c.version, "version", "print the version")
	all := root.PersistentFlags()
	cli.Bool(all, &c.JSON, "json", "print what was done, or found, as JSON")
	cli.Switch(all, "verbose", "v", "say what is done", c.beVerbose)
	cli.AddStateDir(all, &c.state)
	for _, verb := range []*cobra.Command{root, attach} {
		c.line.AddFlags(verb.Flags())
		c.line.AddHostFlags(verb.Flags())
		cli.Text(verb.Flags(), &c.spec, "spec", "file", "attach what the file says in YAML or JSON; - is standard input")
		cli.Duration(verb.Flags(), &c.Probe, "probe", "look so long for other hosts that have an IPv4 address of the interface")
		cli.Duration(verb.Flags(), &c.waitGuest, "wait-guest", "wait for a guest that is being created")
		cli.CompleteLine(verb)
	}
	c.waiting.AddFlags(root.Flags())
	cli.Name(detach.Flags(), &c.line.Name)
	cli.Bool(detach.Flags(), &c.all, "all", "every interface")
	cli.Bool(detach.Flags(), &c.detaching.Force, "force", "also bring a NIC home that this host has no record of")
	cli.Path(detach.Flags(), &c.detaching.ResolvConf, "resolv-conf", "take the lease's name servers out of this resolv.conf")
	cli.Duration(detach.Flags(), &c.waitGuest, "wait-guest", "wait for a guest that is being created")
	cli.Duration(check.Flags(), &c.Probe, "probe", "look so long for other hosts that have an IPv4 address of an interface")
	cli.Bool(gc.Flags(), &c.dryRun, "dry-run", "change nothing, and say what would be done")
	cli.Explain(check.Flags(), &c.explaining, &c.policy)
	cli.Engines(check.Flags(), &c.engines)
	cli.Path(watch.Flags(), &c.policy, "policy", "what containers may ask for ("+config.DefaultPolicy+", where that is there)")
	cli.AddWatchFlags(watch.Flags(), &c.declarations, &c.engines, &c.metrics)
	for _, verb := range []*cobra.Command{detach, list, check} {
		cli.CompleteGuests(verb)
	}
	return root
}

package cli

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/option"
	"github.com/go-pipework/pipework/internal/uplinkverb"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// Options are those of all verbs.
type Options struct {
	Printer
	Verbose bool   // -v: say what is done
	State   string // --state-dir: where attachments are recorded; "" is the default
	version bool   // --version

	Line      config.Line        // the options of an attachment, of which detach has -i
	waiting   waiting            // --wait
	uplinking uplinkverb.Options // those of uplink
	shimming  uplinkverb.ShimOptions
	Spec      string        // --spec: the file whose Spec is attached, in place of a line; "" is none
	Probe     time.Duration // --probe: how long to look for other hosts that have an address
	WaitGuest time.Duration // --wait-guest: how long to wait for a guest that is not there yet

	Detach keep.DetachOptions
	All    bool // --all: detach every interface
	DryRun bool // --dry-run: nothing is changed, and told what would be
	Mend   bool // --mend: check puts right what is not as declared

	Declarations config.Declarations // --allow, --trust-images, --key
	explaining   bool                // check --policy
	policy       string              // --policy: a file; "" is the default
	Engines      []string            // --engine: sockets of Docker and Podman; nil: the usual ones
	Metrics      string              // --metrics: a socket to tell counters at; "": none
	socket       string              // --socket: where Docker finds the driver
}

// A Run is what a verb does with its words, whose number is right.
type Run func(ctx context.Context, args []string) error

// Verbs are what the verbs do, and what they need. Attach evaluates its words itself.
type Verbs struct {
	Attach, Detach, List, Check, Collect, Watch Run
	// Before comes before each of them, when the options are known.
	Before  func()
	Plugger *keep.Plugger // with what it plugs in
	Kinds   []link.Kind   // of the links that records may have
}

// Do does what the words of args say: the options go into o, for what v does then. find is
// who a guest's word means, for iproute2's verbs.
func (o *Options) Do(ctx context.Context, args []string, v Verbs, find func(word string) ns.Target) error {
	root := o.commands(v, find)
	root.SetArgs(args)
	root.SetOut(o.Out)
	root.SetErr(o.Err)
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) { // which reads the words twice
		option.Repeat(root.PersistentFlags())
		for _, verb := range append(root.Commands(), root) {
			option.Repeat(verb.Flags())
		}
	}
	return root.ExecuteContext(ctx)
}

// Tree is the command with all verbs and options, to be described: none of them does anything.
func Tree() *cobra.Command { return new(Options).commands(Verbs{}, nil) }

func (o *Options) commands(v Verbs, find func(word string) ns.Target) *cobra.Command {
	attach, detach := Verb("attach", 0, -1, v.Attach), Verb("detach", 1, -1, o.oneOrAll(v.Detach))
	list, check, gc := Verb("list", 0, -1, uplinkverb.After(v.List, uplinkverb.Call.List, o.call(v))), Verb("check", 0, -1, uplinkverb.After(o.check(v), uplinkverb.Call.Check, o.call(v))), Verb("gc", 0, 0, v.Collect)
	watch := Verb("watch", 0, 0, o.withPolicy(v.Watch))
	driver := Verb("docker-driver", 0, 0, func(ctx context.Context, _ []string) error { return o.dockerDriver(ctx, v) })
	version := Verb("version", 0, 0, func(context.Context, []string) error { return o.PrintVersion() })
	doctor := Verb("doctor", 0, 0, func(ctx context.Context, _ []string) error { return o.doctor(ctx, v) })
	uplink := Verb("uplink", 0, 2, func(ctx context.Context, args []string) error { return o.uplinking.Do(ctx, args, o.call(v)()) })
	shim := Verb("shim", 1, 2, func(ctx context.Context, args []string) error { return o.shimming.Do(ctx, args, o.call(v)()) })
	tool := func(verb string, words ...string) *cobra.Command { return Tool(verb, find, words...) }
	root := Root(o.root(v.Attach), attach, detach, list, check, gc, watch, driver, uplink, shim, doctor, version, tool("route", "ip", "route"), tool("rule", "ip", "rule"), tool("tc", "tc"))

	root.PersistentPreRun = func(*cobra.Command, []string) { v.Before() }
	o.everywhere(root.PersistentFlags())
	option.Bool(root.Flags(), &o.version, "version", "print the version")
	o.waiting.addFlags(root.Flags())
	for _, verb := range []*cobra.Command{root, attach} {
		o.ofAttach(verb.Flags())
		completeLine(verb)
	}
	o.ofDetach(detach.Flags())
	option.Duration(check.Flags(), &o.Probe, "probe", "look so long for other hosts that have an IPv4 address of an interface")
	o.ofExplaining(check.Flags())
	option.Bool(check.Flags(), &o.Mend, "mend", "put right what is not as declared")
	for _, verb := range []*cobra.Command{root, attach, detach, gc, check, uplink} {
		option.Switch(verb.Flags(), "dry-run", "", "change nothing, and say what would be done", func() error {
			o.DryRun, o.Detach.DryRun = true, true
			return nil
		})
	}
	o.ofWatch(watch.Flags())
	option.Add(driver.Flags(), "socket", "", "path", "where Docker finds the driver (/run/docker/plugins/pipework.sock)", config.Path("--socket", &o.socket))
	o.ofEngines(driver.Flags())
	o.uplinking.AddTo(uplink, hostInterfaces)
	o.shimming.AddFlags(shim.Flags())
	uplinkverb.Complete(shim, 1, hostInterfaces)
	completeGuests(list, math.MaxInt)
	completeGuests(check, math.MaxInt)
	completeGuests(detach, 1)
	for _, verb := range append(root.Commands(), root) {
		completeValues(verb)
	}
	return root
}

// root is what happens without a verb.
func (o *Options) root(attach Run) Run {
	return func(ctx context.Context, args []string) error {
		switch {
		case o.version:
			return o.PrintVersion()
		case o.waiting.asked:
			return o.waiting.wait(ctx, args, o.Line.Name)
		}
		if err := o.waiting.check(); err != nil {
			return err
		}
		return attach(ctx, args)
	}
}

// call tells what uplinks are asked.
func (o *Options) call(v Verbs) func() uplinkverb.Call {
	return func() uplinkverb.Call {
		return uplinkverb.Call{Dir: o.RecordsDir(), OVS: v.Plugger.OVS, DryRun: o.DryRun, Mend: o.Mend, JSON: o.JSON, Skip: o.explaining, Out: o}
	}
}

// oneOrAll refuses -i beside --all.
func (o *Options) oneOrAll(detach Run) Run {
	return func(ctx context.Context, args []string) error {
		if o.All && o.Line.Name != "" {
			return usage("-i and --all contradict each other: keep one")
		}
		return detach(ctx, args)
	}
}

func (o *Options) everywhere(fs *pflag.FlagSet) {
	option.Bool(fs, &o.Printer.JSON, "json", "print what was done, or found, as JSON")
	option.Switch(fs, "verbose", "v", "say what is done", func() error { o.Verbose = true; return nil })
	option.Text(fs, &o.State, "state-dir", "directory", "where attachments are recorded (PIPEWORK_STATE, or "+keep.DefaultDir+")")
}

func (o *Options) ofAttach(fs *pflag.FlagSet) {
	o.Line.AddFlags(fs)
	o.Line.AddHostFlags(fs)
	option.Text(fs, &o.Spec, "spec", "file", "attach what the file says in YAML or JSON; - is standard input")
	option.Duration(fs, &o.Probe, "probe", "look so long for other hosts that have an IPv4 address of the interface")
	option.Duration(fs, &o.WaitGuest, "wait-guest", "wait for a guest that is being created")
}

func (o *Options) ofDetach(fs *pflag.FlagSet) {
	option.Add(fs, "interface", "i", "name", "the interface's name inside the guest (eth1, or ib0 of InfiniBand)", config.Name("-i", &o.Line.Name))
	option.Bool(fs, &o.All, "all", "every interface")
	option.Bool(fs, &o.Detach.Force, "force", "also bring a NIC home that this host has no record of")
	option.Add(fs, "resolv-conf", "", "path", "take the lease's name servers out of this resolv.conf", config.Path("--resolv-conf", &o.Detach.ResolvConf))
	option.Duration(fs, &o.WaitGuest, "wait-guest", "wait for a guest that is being created")
}

func (o *Options) ofWatch(fs *pflag.FlagSet) {
	d := &o.Declarations
	option.Bool(fs, &d.TrustImages, "trust-images", "honour what images declare, too")
	option.Add(fs, "allow", "", "patterns", "interfaces of the host that containers may ask for, such as br*,ovs0", func(list string) (err error) {
		d.Allow, err = config.ParseAllow(list)
		return err
	})
	option.Text(fs, &d.Key, "key", "key", "the pipework_key that containers must have")
	o.ofEngines(fs)
	option.Add(fs, "policy", "", "path", "what containers may ask for ("+config.DefaultPolicy+", where that is there)", config.Path("--policy", &o.policy))
	option.Add(fs, "metrics", "", "path", "a socket to tell counters at, such as /run/pipework.sock", config.Path("--metrics", &o.Metrics))
}

func (o *Options) ofEngines(fs *pflag.FlagSet) {
	option.Add(fs, "engine", "", "address,...", "sockets of Docker and Podman, such as unix:///run/podman/podman.sock", func(list string) error {
		o.Engines = strings.Split(list, ",")
		for _, address := range o.Engines {
			if !strings.HasPrefix(address, "unix:///") {
				return fmt.Errorf("--engine needs addresses such as unix:///run/podman/podman.sock, not %q", address)
			}
		}
		return nil
	})
}

// ofExplaining adds --policy of check, whose value stands after =, where it has one.
func (o *Options) ofExplaining(fs *pflag.FlagSet) {
	o.ofEngines(fs)
	option.Add(fs, "policy", "", "path", "explain what containers ask for, and what this policy says to it (="+config.DefaultPolicy+")", func(text string) error {
		if o.explaining = true; text == config.DefaultPolicy {
			return nil
		}
		return config.Path("--policy", &o.policy)(text)
	})
	fs.Lookup("policy").NoOptDefVal = config.DefaultPolicy
}

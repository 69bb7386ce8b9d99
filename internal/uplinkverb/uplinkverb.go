// Package uplinkverb is what the verb uplink does beside calling the library: its options, and
// the process that undoes what nobody confirms.
package uplinkverb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/go-pipework/pipework/internal/hostconf"
	"github.com/go-pipework/pipework/internal/option"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ovs"
	"github.com/go-pipework/pipework/uplink"
)

// Options are those of the verb.
type Options struct {
	undo, keep, managed, guard, examine, dhcp bool
	confirm                                   time.Duration
	probe, manager                            string
}

// probeTime is how long --probe tries without --confirm.
const probeTime = 10 * time.Second

// AddTo adds them to the verb; interfaces are what the shell offers for its words.
func (u *Options) AddTo(verb *cobra.Command, interfaces func(begun string) []string) {
	set := verb.Flags()
	option.Bool(set, &u.undo, "undo", "take the NIC from the bridge, and give it back what the bridge has by now")
	option.Duration(set, &u.confirm, "confirm", "undo it, unless it is kept within this time (--keep)")
	option.Text(set, &u.probe, "probe", "what", "undo it, unless this is reached in time, and keep it then: gateway, arp:<address> or tcp:<host>:<port>")
	option.Bool(set, &u.keep, "keep", "confirm: the NIC stays under the bridge")
	option.Bool(set, &u.examine, "check", "change nothing, and say what would be refused, and what switches and the like must allow")
	option.Text(set, &u.manager, "print-config", "manager", "change nothing, and print what makes it last: "+strings.Join(hostconf.Managers(), ", "))
	option.Bool(set, &u.managed, "managed", "also a NIC that a network manager or a DHCP client looks after")
	option.Bool(set, &u.dhcp, "dhcp", "take the lease over of the DHCP client (dhclient, dhcpcd, udhcpc) that looks after the NIC")
	option.Bool(set, &u.guard, "guard", "wait until it is kept, or else undo it")
	set.Lookup("guard").Hidden = true // what --confirm starts
	Complete(verb, 2, interfaces)
	_ = verb.RegisterFlagCompletionFunc("print-config", cobra.FixedCompletions(hostconf.Managers(), cobra.ShellCompDirectiveNoFileComp))
}

// check refuses options that contradict each other.
func (u *Options) check() error {
	n := 0
	for _, asked := range []bool{u.undo, u.keep, u.guard, u.examine, u.manager != "", u.confirm > 0 || u.managed || u.dhcp || u.probe != ""} {
		if asked {
			n++
		}
	}
	if n > 1 {
		return option.Usage(errors.New("--undo, --keep, --check and --print-config stand alone: leave the other options out"))
	}
	return nil
}

// A Printer prints what was done.
type Printer interface {
	Show(v any, lines ...string) error
	Warn(warnings ...string)
}

// A Call is what is asked for beside the options.
type Call struct {
	Dir    string // of the records
	OVS    *ovs.Client
	DryRun bool
	Mend   bool // of check
	JSON   bool
	Skip   bool // a verb is about something else than uplinks
	Out    Printer
}

// Do puts a NIC under a bridge, or undoes, keeps, examines or describes that, as the words and the
// options say. Without words it lists what there is.
func (u *Options) Do(ctx context.Context, words []string, c Call) error {
	switch {
	case len(words) == 0 && *u == Options{}:
		return c.list(ctx)
	case len(words) < 2:
		return option.Usage(errors.New("too few words: write pipework uplink <bridge> <nic>, or pipework uplink alone for a list"))
	}
	if err := u.check(); err != nil {
		return err
	}
	if u.probe != "" && u.confirm == 0 {
		u.confirm = probeTime
	}
	p := uplink.Plan{Bridge: words[0], NIC: words[1], OVS: c.OVS, Managed: u.managed, DHCP: u.dhcp, Confirm: u.confirm, Probe: u.probe, DryRun: c.DryRun}
	open := keep.Open
	if c.DryRun || u.examine || u.manager != "" {
		open = keep.OpenExisting
	}
	var err error
	if p.Store, err = open(c.Dir); err != nil && !(errors.Is(err, fs.ErrNotExist) && p.Store == nil && (c.DryRun || u.examine || u.manager != "")) {
		return err
	}
	defer func() { _ = p.Store.Close() }()
	switch {
	case u.guard:
		_, err := uplink.Guard(ctx, p)
		return err
	case u.keep:
		return u.confirmed(ctx, p, c)
	case u.undo:
		return u.undone(ctx, p, c)
	case u.examine:
		return c.examined(uplink.Examine(ctx, p))
	case u.manager != "":
		return c.configured(uplink.Config(ctx, p, u.manager))
	}
	return u.moved(ctx, p, c)
}

func (u *Options) confirmed(ctx context.Context, p uplink.Plan, c Call) error {
	if c.DryRun {
		return option.Usage(errors.New("--keep changes nothing but that nothing is undone: leave --dry-run out"))
	}
	if err := uplink.Confirm(ctx, p); err != nil {
		return err
	}
	p.Bridge = p.Bridge[strings.LastIndexByte(p.Bridge, ':')+1:] // without its kind
	return c.Out.Show(uplink.Moved{NIC: p.NIC, Bridge: p.Bridge, Existed: true}, of(p).kept)
}

func (u *Options) undone(ctx context.Context, p uplink.Plan, c Call) error {
	m, err := uplink.Undo(ctx, p)
	if err != nil {
		return err
	}
	c.Out.Warn(m.Warnings...)
	p.Bridge = m.Bridge
	return c.Out.Show(m, c.lines(m, fmt.Sprintf(of(p).undone, m.Carried()))...)
}

func (u *Options) moved(ctx context.Context, p uplink.Plan, c Call) error {
	p.Guarded = func(context.Context) error { return startGuard(p, c.Dir) }
	m, err := uplink.Move(ctx, p)
	if err != nil {
		return err
	}
	c.Out.Warn(m.Warnings...)
	typed := of(p).keep
	p.Bridge = m.Bridge
	done := of(p).moved
	if m.Existed {
		done = of(p).existed
	}
	text := c.lines(m, fmt.Sprintf(done, m.Carried()))
	switch {
	case c.DryRun:
	case !m.Undone.IsZero():
		text = append(text, fmt.Sprintf("undone at %s, unless you type: pipework %s", m.Undone.Format(time.TimeOnly), typed))
	case m.Existed && p.Confirm > 0:
		text = append(text, "it stays: nothing waits to be confirmed")
	}
	return c.Out.Show(m, text...)
}

// A told is what is said of an uplink; %s stands for what it has.
type told struct{ moved, existed, undone, kept, keep string }

func of(p uplink.Plan) told {
	if p.Bridge == uplink.ShimName(p.NIC) {
		return told{
			moved:   p.Bridge + " has taken over what " + p.NIC + " had: %s",
			existed: p.Bridge + " has already taken over what " + p.NIC + " had: %s",
			undone:  p.NIC + " has no shim any more, and has %s",
			kept:    p.Bridge + " keeps what it has taken over from " + p.NIC,
			keep:    "shim --keep " + p.NIC,
		}
	}
	return told{
		moved:   p.NIC + " is under " + p.Bridge + ", which has %s",
		existed: p.NIC + " is under " + p.Bridge + " already, which has %s",
		undone:  p.NIC + " is not under " + p.Bridge + " any more, and has %s",
		kept:    p.NIC + " stays under " + p.Bridge,
		keep:    "uplink --keep " + p.Bridge + " " + p.NIC,
	}
}

// lines are the text, or of a dry run what would be done.
func (c Call) lines(m *uplink.Moved, text string) (lines []string) {
	if !c.DryRun {
		return []string{text}
	}
	about := fmt.Sprintf("dry run: uplink %s: ", m.Bridge)
	for _, step := range m.Plan {
		lines = append(lines, about+step)
	}
	if lines == nil {
		lines = []string{about + "nothing to do"}
	}
	return lines
}

// Complete has the shell offer interfaces for the first words, so many.
func Complete(cmd *cobra.Command, most int, interfaces func(begun string) []string) {
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, begun string) (names []string, _ cobra.ShellCompDirective) {
		if len(args) < most {
			names = interfaces(begun)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// startGuard starts this program again to undo what is not kept. It has a session and files of
// its own: the end of this process, of its terminal or of its shell is not the guard's.
func startGuard(p uplink.Plan, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe", "uplink", "--guard", "--state-dir", dir, "--", p.Bridge, p.NIC)
	cmd.Args[0] = "pipework"
	cmd.Dir = "/"
	ownSession(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start who undoes it: %w", err)
	}
	return cmd.Process.Release()
}

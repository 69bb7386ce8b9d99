// Package uplinkverb is what the verb uplink does beside calling the library: its options, and
// the process that undoes what nobody confirms.
package uplinkverb

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/go-pipework/pipework/internal/option"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ovs"
	"github.com/go-pipework/pipework/uplink"
)

// Options are those of the verb.
type Options struct {
	// OVS is the Open vSwitch to ask.
	OVS *ovs.Client

	undo, keep, managed, guard bool
	confirm                    time.Duration
	probe                      string
}

// probeTime is how long --probe tries without --confirm.
const probeTime = 10 * time.Second

// AddFlags adds them.
func (u *Options) AddFlags(fs *pflag.FlagSet) {
	option.Bool(fs, &u.undo, "undo", "take the NIC from the bridge, and give it back what the bridge has by now")
	option.Duration(fs, &u.confirm, "confirm", "undo it, unless it is kept within this time (--keep)")
	option.Text(fs, &u.probe, "probe", "what", "undo it, unless this is reached in time, and keep it then: gateway, arp:<address> or tcp:<host>:<port>")
	option.Bool(fs, &u.keep, "keep", "confirm: the NIC stays under the bridge")
	option.Bool(fs, &u.managed, "managed", "also a NIC that a network manager or a DHCP client looks after")
	option.Bool(fs, &u.guard, "guard", "wait until it is kept, or else undo it")
	fs.Lookup("guard").Hidden = true // what --confirm starts
}

// check refuses options that contradict each other.
func (u *Options) check() error {
	n := 0
	for _, asked := range []bool{u.undo, u.keep, u.guard, u.confirm > 0 || u.managed || u.probe != ""} {
		if asked {
			n++
		}
	}
	if n > 1 {
		return option.Usage(errors.New("--undo and --keep stand alone: leave the other options out"))
	}
	return nil
}

// A Printer prints what was done.
type Printer interface {
	Show(v any, lines ...string) error
	Warn(warnings ...string)
}

// Do puts a NIC under a bridge, or undoes or keeps that; dir is where that is recorded.
func (u *Options) Do(ctx context.Context, bridge, nic, dir string, out Printer) error {
	if err := u.check(); err != nil {
		return err
	}
	store, err := keep.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	if u.probe != "" && u.confirm == 0 {
		u.confirm = probeTime
	}
	p := uplink.Plan{Bridge: bridge, NIC: nic, OVS: u.OVS, Store: store, Managed: u.managed, Confirm: u.confirm, Probe: u.probe}
	switch {
	case u.guard:
		_, err := uplink.Guard(ctx, p)
		return err
	case u.keep:
		if err := uplink.Confirm(ctx, p); err != nil {
			return err
		}
		name := bridge[strings.LastIndexByte(bridge, ':')+1:] // without its kind
		return out.Show(uplink.Moved{NIC: nic, Bridge: name, Existed: true}, fmt.Sprintf("%s stays under %s", nic, name))
	case u.undo:
		m, err := uplink.Undo(ctx, p)
		if err != nil {
			return err
		}
		out.Warn(m.Warnings...)
		return out.Show(m, fmt.Sprintf("%s is not under %s any more, and has %s", m.NIC, m.Bridge, m.Carried()))
	}
	p.Guarded = func(context.Context) error { return startGuard(p, dir) }
	m, err := uplink.Move(ctx, p)
	if err != nil {
		return err
	}
	out.Warn(m.Warnings...)
	text := []string{fmt.Sprintf("%s is under %s, which has %s", m.NIC, m.Bridge, m.Carried())}
	if p.Confirm > 0 && p.Probe == "" && !m.Existed {
		text = append(text, fmt.Sprintf("undone %v after it began, unless you type: pipework uplink --keep %s %s", p.Confirm, p.Bridge, p.NIC))
	}
	return out.Show(m, text...)
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

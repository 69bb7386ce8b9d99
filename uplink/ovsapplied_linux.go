package uplink

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/internal/pause"
)

// This file waits for ovs-vswitchd.

// onlyUserspace says whether ovs-vswitchd forwards in userspace alone. It tells so soon after it has
// started.
func (b openvswitch) onlyUserspace(ctx context.Context) (bool, error) {
	for end := time.Now().Add(lateTime); ; {
		got, err := b.run(fault.With(ctx, nil), "look at switch", ovsdb.Select("Open_vSwitch", ovsdb.TheRow(), "datapath_types"))
		if err != nil {
			return false, err
		}
		types := got[0].First().Strings("datapath_types")
		if len(types) > 0 || time.Now().After(end) {
			return slices.Contains(types, netdev) && !slices.Contains(types, "system"), nil
		}
		if err := pause.For(ctx, 10*time.Millisecond); err != nil {
			return false, err
		}
	}
}

const (
	// applyTime bounds the wait for ovs-vswitchd.
	applyTime = 10 * time.Second
	// lateTime does once it was waited for in vain.
	lateTime = time.Second
)

var errNotApplied = errs.New(context.DeadlineExceeded, "ovs-vswitchd has not done what was asked for within %v: is it running?", applyTime)

// configured runs a transaction, and waits until ovs-vswitchd has done what it says.
func (b openvswitch) configured(ctx context.Context, what string, ops ...ovsdb.Op) error {
	next := ovsdb.Reconfigure()
	got, err := b.run(ctx, what, append(ops, next[:]...)...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return b.applied(ctx, got[len(got)-1].First().Numbers("next_cfg"))
}

// settled waits until ovs-vswitchd has done what others have asked for.
func (b openvswitch) settled(ctx context.Context) error {
	got, err := b.run(ctx, "look at switch", ovsdb.Select("Open_vSwitch", ovsdb.TheRow(), "next_cfg"))
	if err != nil {
		return err
	}
	return b.applied(ctx, got[0].First().Numbers("next_cfg"))
}

// applied waits until ovs-vswitchd has done what the configuration of this number says.
func (b openvswitch) applied(ctx context.Context, next []int) error {
	most := applyTime
	if b.late {
		most = lateTime
	}
	for wait, end := time.Millisecond, time.Now().Add(most); ; wait = min(2*wait, 20*time.Millisecond) {
		got, err := b.run(fault.With(ctx, nil), "wait for switch", ovsdb.Select("Open_vSwitch", ovsdb.TheRow(), "cur_cfg"))
		switch {
		case err != nil:
			return err
		case slices.Compare(got[0].First().Numbers("cur_cfg"), next) >= 0:
			return nil
		case time.Now().After(end):
			b.late = true
			return errNotApplied
		}
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
}

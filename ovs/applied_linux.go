package ovs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/link"
)

// applyTime bounds the wait for ovs-vswitchd where ctx does not.
const applyTime = 10 * time.Second

// firstSlice and lastSlice bound how long the server is asked to wait at once.
const (
	firstSlice = 250 * time.Millisecond
	lastSlice  = 2 * time.Second
)

var errNotApplied = errs.New(context.DeadlineExceeded, "nothing within %v", applyTime)

// applied waits until ovs-vswitchd has given the interfaces their numbers. When it
// has read the configuration of this number and has not, it never will.
func applied(ctx context.Context, s *Client, all []*joining, number []int) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, applyTime, errNotApplied)
		defer cancel()
	}
	for slice := firstSlice; len(all) > 0; slice = min(2*slice, lastSlice) {
		got, err := s.transact(ctx, "wait for port", waitForAll(all, int(slice.Milliseconds())))
		if err == nil {
			for i, j := range all {
				j.err = portError(j.at, got[len(all)+i])
			}
			return
		}
		if ctx.Err() != nil {
			for _, j := range all {
				j.err = fmt.Errorf("port %s got no number from Open vSwitch (is ovs-vswitchd running?): %w", j.at.HostName, context.Cause(ctx))
			}
			return
		}
		if ovsdb.Refused(err, ovsdb.TimedOut) {
			all, err = undecided(ctx, s, all, number)
		}
		if err != nil {
			fail(all, err)
			return
		}
	}
}

// waitForAll waits some milliseconds until each interface has a number, or the
// lack of one, and asks what became of them.
func waitForAll(all []*joining, ms int) (ops []ovsdb.Op) {
	for _, j := range all {
		ops = append(ops, ovsdb.Wait("Interface", ovsdb.IsRow(j.iface), "ofport", []int{}, ms))
	}
	for _, j := range all {
		ops = append(ops, j.read())
	}
	return ops
}

// read asks what became of the interface.
func (j *joining) read() ovsdb.Op {
	return ovsdb.Select("Interface", ovsdb.IsRow(j.iface), "ofport", "error")
}

// portError is what ovs-vswitchd has to say of an interface.
func portError(p *link.Port, rows ovsdb.Result) error {
	if len(rows) == 0 {
		return fmt.Errorf("port %s was removed meanwhile", p.HostName)
	}
	said, number := rows[0].Text("error"), rows[0].Numbers("ofport")
	if said == "" && slices.Equal(number, []int{-1}) {
		said = "it has no number"
	}
	if said != "" {
		return fmt.Errorf("ovs-vswitchd cannot use port %s: %s", p.HostName, said)
	}
	return nil
}

// undecided are the ports that ovs-vswitchd may still come to. What became of the
// others is in their err.
func undecided(ctx context.Context, s *Client, all []*joining, number []int) ([]*joining, error) {
	ops := []ovsdb.Op{ovsdb.Select("Open_vSwitch", ovsdb.TheRow(), "cur_cfg")}
	for _, j := range all {
		ops = append(ops, j.read(), ovsdb.Select("Bridge", ovsdb.Has("name", j.on.name), "datapath_type"))
	}
	got, err := s.transact(ctx, "look at port", ops)
	if err != nil {
		return all, err
	}
	seen := len(number) > 0 && slices.Compare(got[0].First().Numbers("cur_cfg"), number) >= 0
	var left []*joining
	for i, j := range all {
		iface, br := got[1+2*i], got[2+2*i]
		switch {
		case len(iface) == 0, len(iface[0].Numbers("ofport")) > 0:
			j.err = portError(j.at, iface)
		case seen:
			j.err = noDatapath(j.Bridge, orSystem(br.First().Text("datapath_type")))
		default:
			left = append(left, j)
		}
	}
	return left, nil
}

// noDatapath explains why ovs-vswitchd has read the configuration and has made
// nothing of the bridge; it tells only its log.
func noDatapath(b Bridge, datapath string) error {
	if datapath == Netdev {
		return fmt.Errorf("ovs-vswitchd could not set bridge %s up: it needs /dev/net/tun, and only one userspace datapath fits into a network namespace; its log says more", b.Name)
	}
	if _, err := os.Stat("/sys/module/openvswitch"); errors.Is(err, fs.ErrNotExist) {
		return errs.New(errors.ErrUnsupported, "this kernel has no Open vSwitch datapath, which bridge %s needs: load it with `modprobe openvswitch`, or set Datapath to %s", b.Name, Netdev)
	}
	return fmt.Errorf("ovs-vswitchd could not set bridge %s up: its log says why", b.Name)
}

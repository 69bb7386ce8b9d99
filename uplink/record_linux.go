package uplink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A record tells what the NIC and the bridge were. It is written before anything is changed, and
// removed last.
type record struct {
	Version int    `json:"version"`
	Boot    string `json:"boot"`   // of the machine: bridges are of one boot
	Cookie  uint64 `json:"cookie"` // of the host's network namespace; 0 where none is to be had
	NIC     string `json:"nic"`
	Bridge  string `json:"bridge"`
	Phase   phase  `json:"phase"`

	Index      int           `json:"index"` // of the NIC
	Saved      time.Duration `json:"saved"` // when addresses and routes were: since boot, in ns
	Addrs      []rtnl.Saved  `json:"addrs"`
	Routes     []rtnl.Saved  `json:"routes"`
	Neighbours []rtnl.Saved  `json:"neighbours"`
	AcceptDAD  string        `json:"accept_dad"` // of the NIC, while it is changed
	// Was is what the bridge was; nil: there was none.
	Was *bridge `json:"was"`
	// NICConf are settings of the NIC that a macvlan changes, by their paths in a record of
	// ifconf.Read, and Heard says whether it followed routers before.
	NICConf map[string]string `json:"nic_conf,omitempty"`
	Heard   bool              `json:"heard,omitempty"`
	// Taken is the lease that was a DHCP client's; nil: none.
	Taken *takenLease `json:"taken,omitempty"`
	// OVS tells of rows; nil: the bridge is one of Linux.
	OVS *rows `json:"ovs,omitempty"`
}

// sign is the DSCP of what routers say by the NIC; 0: that has a mark.
func (r *record) sign() uint8 {
	if r.OVS == nil || !r.OVS.Userspace {
		return 0
	}
	return r.OVS.Sign
}

// recreated says whether the bridge's interface is another one by now, which has nothing of the
// host's: ovs-vswitchd that forwards in userspace has begun anew.
func (r *record) recreated(br *rtnl.Link) bool { return r.OVS != nil && r.OVS.Device != br.Index }

// version is that of the record's form.
const version = 1

// A phase is how far a call has come.
type phase string

const (
	moving phase = "moving" // the NIC is to be as recorded
	moved  phase = "moved"  // the bridge has it all
)

// A bridge is what one was that was there before.
type bridge struct {
	MAC   net.HardwareAddr  `json:"mac"`
	Alias string            `json:"alias"`
	Up    bool              `json:"up"`
	Conf  map[string]string `json:"conf"`
}

func (p Plan) note() keep.Note { return keep.Note{Kind: "uplink", Of: p.Bridge} }

// records is the directory of the records, for people.
func (p Plan) records() string {
	if p.Store == nil {
		return "no directory"
	}
	return p.Store.Dir()
}

// write writes the record.
func (j *job) write(ctx context.Context, r *record) error {
	if err := fault.Step(ctx, "write record of uplink"); err != nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return j.Store.PutNote(j.note(), append(b, '\n'))
}

// forget removes what tells that it is to be confirmed, and the record last.
func (j *job) forget(ctx context.Context) error {
	for _, n := range []keep.Note{j.unconfirmed(), j.note()} {
		if err := fault.Step(ctx, "write no "+n.Kind); err != nil {
			return err
		}
		if err := j.Store.DeleteNote(n); err != nil {
			return err
		}
	}
	return nil
}

// read is the record, or nil where there is none; it tells the kind of the bridge. One of another
// boot tells of what the machine has forgotten, but for Open vSwitch's database: it is removed.
func (j *job) read(ctx context.Context) (*record, error) {
	if j.Store == nil {
		return nil, nil
	}
	b, err := j.Store.Note(j.note())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := parseRecord(b)
	if err == nil && r.Bridge != j.Bridge {
		err = fmt.Errorf("it is of %s", r.Bridge)
	}
	if err != nil {
		return nil, errs.New(fs.ErrInvalid, "the record of the uplink of %s cannot be read (%w): if %s is no uplink, remove its file in %s", j.Bridge, err, j.Bridge, j.Store.Dir())
	}
	if r.OVS != nil {
		j.kind = openvswitch{j}
	}
	switch {
	case r.Boot != ns.BootID() && j.DryRun:
		return nil, nil
	case r.Boot != ns.BootID():
		if r.OVS != nil {
			if err := (openvswitch{j}).forgotten(ctx, r); err != nil {
				return nil, err
			}
		}
		return nil, j.forget(ctx)
	case r.Cookie != j.host.Conn.Cookie():
		return nil, errs.New(fs.ErrInvalid, "the record of the uplink of %s is of another network namespace: name another directory with --state-dir", j.Bridge)
	case r.NIC != j.NIC:
		return nil, errs.New(fs.ErrExist, "the uplink of %s is %s: undo that first (pipework uplink --undo %s %s)", j.Bridge, r.NIC, j.Bridge, r.NIC)
	}
	return r, nil
}

// parseRecord reads a record, which a bad disk, or somebody, may have made another one: what it has can be
// used without another look.
func parseRecord(b []byte) (*record, error) {
	r := new(record)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, err
	}
	if r.Version != version {
		return nil, fmt.Errorf("it is of version %d, and not %d", r.Version, version)
	}
	wrong := []error{link.ValidName(r.NIC), link.ValidName(r.Bridge), r.Taken.valid()}
	if r.Phase != moving && r.Phase != moved {
		wrong = append(wrong, fmt.Errorf("there is no phase %q", r.Phase))
	}
	for _, a := range r.Addrs {
		if _, ok := a.Addr(); !ok {
			wrong = append(wrong, errors.New("it has what is no address"))
		}
	}
	for _, route := range r.Routes {
		if _, ok := rtnl.ParseSaved(route); !ok {
			wrong = append(wrong, errors.New("it has what is no route"))
		}
	}
	for _, n := range r.Neighbours {
		if !n.Neighbour() {
			wrong = append(wrong, errors.New("it has what is no neighbour"))
		}
	}
	return r, errs.Join(wrong...)
}

// sinceBoot is the time since the machine started, sleep included.
func sinceBoot() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	return time.Duration(t.Nano())
}

// state is what is recorded, as a link is to have it: one with the index, and the name, of to.
func (r *record) state(fromName string, to *rtnl.Link) (s state, err error) {
	s.home = rtnl.Home{From: r.Index, To: to.Index, Ago: max(0, sinceBoot()-r.Saved)}
	for _, a := range r.Addrs {
		s.addrs = append(s.addrs, a.Relabelled(fromName, to.Name))
	}
	for _, b := range r.Routes {
		route, ok := rtnl.ParseSaved(b)
		if !ok {
			return s, fmt.Errorf("the record of the uplink of %s has what is no route", r.Bridge)
		}
		if route, ok = route.At(s.home); ok {
			s.routes = append(s.routes, route)
		}
	}
	return s, nil
}

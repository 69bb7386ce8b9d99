package uplink

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// refusedElsewhere refuses a NIC that is under another bridge already. The NIC itself tells that of
// a bridge of Linux, and not of one of Open vSwitch that forwards in userspace.
func (j refuser) refusedElsewhere(ctx context.Context, nic *rtnl.Link) error {
	if j.Store != nil {
		if err := elsewhere(j.Store, j.NIC, j.Bridge, j.host.Conn.Cookie()); err != nil {
			return err
		}
	}
	if _, is := j.kind.(openvswitch); is {
		return nil // it looks for itself
	}
	b := openvswitch(j)
	got, err := b.run(ctx, "look at interface", ovsdb.Select("Interface", ovsdb.Has("name", j.NIC), "_uuid", "ifindex"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // there is no Open vSwitch
	}
	if err != nil {
		return err
	}
	iface := got[0].First()
	if at := iface.Numbers("ifindex"); len(at) != 1 || at[0] != nic.Index {
		return nil // there is none, or that of another network namespace
	}
	return b.refusedPort(ctx, iface.Row("_uuid"))
}

// elsewhere is the error of a NIC that is under another bridge by its record, or has a shim that
// has taken over what it had; nil: there is none of this boot and network namespace.
func elsewhere(store *keep.Store, nic, bridge string, cookie uint64) error {
	notes, err := store.Notes(Plan{}.note().Kind)
	if err != nil {
		return err
	}
	for _, b := range notes {
		r := new(record)
		if json.Unmarshal(b, r) != nil || r.Boot != ns.BootID() || r.Cookie != cookie || r.NIC != nic || r.Bridge == bridge {
			continue
		}
		if r.Bridge == ShimName(nic) {
			return errs.New(fs.ErrExist, "%s has taken over what %s has: undo that first (pipework shim --undo %s)", r.Bridge, nic, nic)
		}
		return errs.New(fs.ErrExist, "%s is under %s: undo that first (pipework uplink --undo %s %s)", nic, r.Bridge, r.Bridge, nic)
	}
	return nil
}

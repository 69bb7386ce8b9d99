package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/ns"
)

// nicDir has one file for each interface of the host's own that was moved into a
// guest. A guest writes what it likes on the interfaces that it has; it cannot
// write here. The directory ends with the boot, as what it tells of does; it is no part
// of a service's RuntimeDirectory, which systemd removes when the service stops.
const nicDir = "/run/pipework-nics"

// A nic is the host's record of one of its own interfaces.
type nic struct {
	ID    deviceID `json:"device"`
	Boot  string   `json:"boot"`  // of the machine: IDs are of one boot
	Guest uint64   `json:"guest"` // inode of the namespace that it was moved into
	Kind  string   `json:"kind"`  // rtnl_link_ops; "" for most hardware
	Mark  string   `json:"mark"`  // as Plug wrote it
	Was   past     `json:"was"`
	// Upper are the interfaces of guests that stood on it; nil: nobody looked, or all
	// others have been removed.
	Upper []deviceID `json:"upper"`

	moved bool // or about to be
}

func (r *nic) path() string {
	return filepath.Join(nicDir, fmt.Sprintf("%d-%d.json", r.Guest, r.ID))
}

// software are the kinds of interfaces that anybody can delete, and that end with their
// namespace. Any other may be hardware, which comes home then: a driver of wlan, ipoib,
// can or dsa interfaces gives them a kind, too (netns_refund of net/rtnetlink.h).
var software = []string{
	"bond", "dummy", "geneve", "gretap", "ifb", "ipvlan", "ipvtap", "macvlan", "macvtap", "team", "tun", "veth", "vlan", "vxlan", "wireguard",
}

// ends says that the interface may be gone for good.
func (r *nic) ends() bool { return slices.Contains(software, r.Kind) }

// save writes the record before anything else is done. One that is there already stays
// whole until the new one is.
func (r *nic) save(ctx context.Context) error {
	err := fault.Step(ctx, "write record of NIC")
	if err != nil {
		return err
	}
	if r.Boot, err = boot(); err != nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(nicDir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(r.path()+"~", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(r.path()+"~", r.path())
}

func (r *nic) remove(ctx context.Context) error {
	if err := fault.Step(ctx, "remove record of NIC"); err != nil {
		return err
	}
	if err := os.Remove(r.path()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// mark is what Plug wrote on the interface.
func (r *nic) mark() Mark {
	m, _ := ParseMark(r.Mark)
	return m
}

func boot() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// recordedNICs reads the records that want picks: of one guest, or of all where
// guest is nil.
func recordedNICs(guest *ns.Handle, want func(*nic) bool) ([]*nic, error) {
	files, err := os.ReadDir(nicDir)
	if len(files) == 0 || err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return nil, err
	}
	now, err := boot()
	if err != nil {
		return nil, err
	}
	var all []*nic
	for _, f := range files {
		if guest != nil && !strings.HasPrefix(f.Name(), fmt.Sprintf("%d-", guest.Inode().Ino)) {
			continue
		}
		r, err := readNIC(f.Name())
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // that is home meanwhile
			return nil, err
		}
		if err == nil && r.Boot == now && want(r) {
			all = append(all, r)
		}
	}
	return all, nil
}

// readNIC reads one record. One that a killed call did not finish is of an interface
// that was not touched yet: it is nobody's.
func readNIC(name string) (*nic, error) {
	b, err := os.ReadFile(filepath.Join(nicDir, name))
	if err != nil {
		return nil, err
	}
	r := new(nic)
	if json.Unmarshal(b, r) != nil || filepath.Base(r.path()) != name || ValidName(r.Was.Name) != nil {
		return new(nic), nil
	}
	return r, nil
}

// locate finds those of the NICs that are in the namespace now, and returns them by
// their index there.
func locate(ctx context.Context, in *ns.Handle, nics []*nic) (map[int]*nic, error) {
	if len(nics) == 0 {
		return nil, nil
	}
	d, err := openDevices(ctx, in)
	if err != nil {
		return nil, err
	}
	defer d.close()
	wanted := make(map[deviceID]bool)
	for _, r := range nics {
		wanted[r.ID] = true
	}
	indexes, err := d.indexes(ctx, wanted)
	if err != nil {
		return nil, err
	}
	found := make(map[int]*nic)
	for _, r := range nics {
		if index, is := indexes[r.ID]; is {
			found[index] = r
		}
	}
	return found, nil
}

// RecordedNIC is the mark of an interface of the host's own that was moved into the
// guest as name, be it there still or not.
func RecordedNIC(guest *ns.Handle, name string) (Mark, bool) {
	recorded, err := recordedNICs(guest, func(r *nic) bool { return r.mark().Interface == name })
	if err != nil || len(recorded) == 0 {
		return Mark{}, false
	}
	return recorded[0].mark(), true
}

// RemarkNIC has the host's record of the interface of its own that the guest has with
// this index say m. Without a record it does nothing.
func RemarkNIC(ctx context.Context, guest *ns.Handle, index int, m Mark) error {
	recorded, err := recordedNICs(guest, anyNIC)
	if err != nil {
		return err
	}
	there, err := locate(ctx, guest, recorded)
	r := there[index]
	if r == nil || err != nil {
		return err
	}
	r.Mark = m.String()
	return r.save(ctx)
}

// identify is the number of a link.
func identify(ctx context.Context, in *ns.Handle, l *rtnl.Link) (deviceID, error) {
	ids, err := identifyAll(ctx, in, []*rtnl.Link{l})
	if err == nil && len(ids) == 0 {
		err = errs.New(fs.ErrNotExist, "%s has gone meanwhile", l.Name)
	}
	return ids[l.Index], err
}

// identifyAll are the numbers of those of the links that are in the namespace now, by their
// index there, whatever they are called by now.
func identifyAll(ctx context.Context, in *ns.Handle, links []*rtnl.Link) (map[int]deviceID, error) {
	d, err := openDevices(ctx, in)
	if err != nil {
		return nil, err
	}
	defer d.close()
	wanted := make(map[int]bool)
	for _, l := range links {
		wanted[l.Index] = true
	}
	return d.ids(ctx, wanted)
}

// anyNIC picks every record.
func anyNIC(*nic) bool { return true }

// NICs are the interfaces of the host's own that were moved into a guest, see
// [Phys], and are there now: the marks that the host recorded, by the interfaces'
// indexes in the guest. The record and the device decide; nothing that the guest
// can write does.
func NICs(ctx context.Context, guest *ns.Handle) (map[int]Mark, error) {
	recorded, err := recordedNICs(guest, anyNIC)
	if err != nil {
		return nil, fmt.Errorf("read the records of NICs: %w", err)
	}
	there, err := locate(ctx, guest, recorded)
	if len(there) == 0 {
		return nil, err
	}
	marks := make(map[int]Mark, len(there))
	for index, r := range there {
		marks[index] = r.mark()
	}
	return marks, err
}

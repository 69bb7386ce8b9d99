package uplink

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// A shimRecord is what is declared of a NIC's shim. It outlives the machine's boot, and the
// interface: whoever reads it makes that again.
type shimRecord struct {
	Version int            `json:"version"`
	Boot    string         `json:"boot"`   // of the machine, when the interface was made last
	Cookie  uint64         `json:"cookie"` // of the host's network namespace then; 0 where none is to be had
	NIC     string         `json:"nic"`
	Addrs   []netip.Prefix `json:"addrs"`
}

// readShim reads a record.
func readShim(b []byte) (*shimRecord, error) {
	r := new(shimRecord)
	err := json.Unmarshal(b, r)
	if err == nil && (r.Version != version || r.NIC == "" || len(r.Addrs) == 0) {
		err = errors.New("it is of another version")
	}
	if err != nil {
		return nil, errs.New(fs.ErrInvalid, "a record of a shim cannot be read: %w: remove its file (shim.…)", err)
	}
	return r, nil
}

// read is the record; nil where there is none.
func (j *shimJob) read() (*shimRecord, error) {
	b, err := j.Store.Note(j.note())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := readShim(b)
	if err == nil && !j.isHere(r) {
		err = errs.New(fs.ErrInvalid, "the record of the shim of %s is of another network namespace: name another directory with --state-dir", j.NIC)
	}
	return r, err
}

// isHere says whether the record may be of this network namespace.
func (j *shimJob) isHere(r *shimRecord) bool {
	return r.Boot != ns.BootID() || r.Cookie == j.host.Conn.Cookie()
}

// write writes the record; nil removes it.
func (j *shimJob) write(ctx context.Context, r *shimRecord) error {
	if err := fault.Step(ctx, "write record of shim"); err != nil {
		return err
	}
	if r == nil {
		return j.Store.DeleteNote(j.note())
	}
	r.Version, r.Boot, r.Cookie, r.NIC = version, ns.BootID(), j.host.Conn.Cookie(), j.NIC
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return j.Store.PutNote(j.note(), append(b, '\n'))
}

// shimRecords are those of the store.
func shimRecords(store *keep.Store) (all []*shimRecord, err error) {
	notes, err := store.Notes("shim")
	failed := []error{err}
	for _, b := range notes {
		r, err := readShim(b)
		if failed = append(failed, err); err == nil {
			all = append(all, r)
		}
	}
	return all, errs.Join(failed...)
}

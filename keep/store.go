package keep

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// DefaultDir is where the command keeps its records.
const DefaultDir = "/var/lib/pipework"

// A Store is a directory of records. It may be used by several goroutines, and
// the directory by several processes. What has a record's name in there, and is no
// record that this user wrote, is never trusted: All moves it into the folder
// damaged. Records of links that the Store was not opened for stay where they are, and
// All tells of them. Files of other names are left alone.
type Store struct {
	kinds []link.Kind
	dirHandle
}

// Open opens the directory, which it makes for this user alone where there is
// none. One that belongs to somebody else, or that others may write to, is refused
// with an error that satisfies fs.ErrPermission; one that holds files of others, and
// not the file .pipework, which the first record brings along, with one that satisfies
// fs.ErrExist. A refused directory is not changed.
//
// The kinds are those of the links that records may have: those of package link, of
// Open vSwitch, and of the caller's own, as in
//
//	keep.Open(dir, append(link.Kinds(), ovs.Kind())...)
func Open(dir string, kinds ...link.Kind) (*Store, error) { return open(dir, kinds) }

// OpenExisting is [Open] for those who only read: where there is no directory none
// is made, and the error satisfies fs.ErrNotExist.
func OpenExisting(dir string, kinds ...link.Kind) (*Store, error) { return openExisting(dir, kinds) }

// Dir is the directory's name, as it was opened.
func (s *Store) Dir() string { return s.dir }

// Put writes the record in place of the one with the same guest and interface. It
// is whole and durable when Put returns, and the old one is when it fails. One that
// could not be read again, such as one with a link of another kind than the Store was
// opened for, is refused with an error that satisfies fs.ErrInvalid.
func (s *Store) Put(r Record) error { return s.put(r) }

// Get reads one record. Where there is none, or none that can be trusted, the
// error satisfies fs.ErrNotExist; where its link is of a kind that the Store was not
// opened for, errors.ErrUnsupported.
func (s *Store) Get(guest ns.Ref, iface string) (*Record, error) { return s.get(keyOf(guest, iface)) }

// Guest is the recorded guest that the bare name means, of containerd's also without
// the namespace; the zero Ref when there is none, or several.
func (s *Store) Guest(name string) (guest ns.Ref) {
	if s == nil {
		return ns.Ref{}
	}
	all, _ := s.scan(func(string, error) {}) // whoever works on the records hears what is wrong with them
	for _, r := range all {
		called := r.Guest.Name
		if r.Guest.Kind == ns.Containerd && !strings.Contains(name, "/") {
			called = r.Guest.Base()
		}
		if called != name || r.Guest.Same(guest) {
			continue
		}
		if guest != (ns.Ref{}) {
			return ns.Ref{}
		}
		guest = r.Guest
	}
	return guest
}

// Known is the Ref with the ID that is recorded of it, where a guest of its kind is found by
// that: see ns.Kind.ByFile.
func (s *Store) Known(guest ns.Ref) ns.Ref {
	if s == nil || !guest.Kind.ByFile() || guest.ID != "" {
		return guest
	}
	all, _ := s.scan(func(string, error) {}) // whoever works on the records hears what is wrong with them
	for _, r := range all {
		if r.Guest.Same(guest) {
			return r.Guest
		}
	}
	return guest
}

// Delete removes a record; nil where there is none.
func (s *Store) Delete(guest ns.Ref, iface string) error { return s.delete(keyOf(guest, iface)) }

// All reads every record, in the order of their guests and interfaces. Each entry
// that has a record's name and is none is moved into the folder damaged, and told as an
// error of its own. Records may come and go meanwhile.
func (s *Store) All() (records []Record, damaged []error, err error) { return s.all() }

// peek is All, which changes nothing.
func (s *Store) peek() (records []Record, damaged []error, err error) {
	records, err = s.scan(func(_ string, why error) { damaged = append(damaged, why) })
	return records, damaged, err
}

// Lock makes those wait for one another who are at work on one interface of one
// guest, in whatever process. It waits until ctx ends, and ends with the process.
func (s *Store) Lock(ctx context.Context, guest ns.Ref, iface string) (unlock func(), err error) {
	return s.lock(ctx, keyOf(guest, iface))
}

// Close lets the directory go. Locks that are held stay. A nil Store has nothing to close.
func (s *Store) Close() error {
	if s == nil {
		return nil
	}
	return s.close()
}

// orNil is nil for what is gone already.
func orNil(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// restore makes the record what it was before r.
func (s *Store) restore(r *Record) error {
	if r.Before != nil {
		return s.Put(*r.Before)
	}
	return s.Delete(r.Guest, r.Interface)
}

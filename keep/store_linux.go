package keep

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/link"
)

// A dirHandle holds the directory open: every name is looked up in there, and
// no link is followed.
type dirHandle struct {
	dir    string // its name, as it was opened
	f      *os.File
	marked atomic.Bool // the marker is there
}

func (d *dirHandle) fd() int { return int(d.f.Fd()) }

func (d *dirHandle) close() error { return d.f.Close() }

func open(dir string, kinds []link.Kind) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return openExisting(dir, kinds)
}

func openExisting(dir string, kinds []link.Kind) (*Store, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("state directory %s: %w", dir, err)
	}
	if err := mayTrust(&st); err != nil {
		_ = f.Close()
		return nil, errs.New(fs.ErrPermission, "state directory %s: %w: chown and chmod 700 it, or choose another one", dir, err)
	}
	s := &Store{kinds: kinds, dirHandle: dirHandle{dir: dir, f: f}}
	if err := s.ours(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return s, nil
}

// mayTrust says why somebody else may have written this.
func mayTrust(st *unix.Stat_t) error {
	switch {
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to user %d, not to %d", st.Uid, os.Geteuid())
	case st.Mode&0o022 != 0:
		return fmt.Errorf("others may write to it (mode %o)", st.Mode&0o777)
	}
	return nil
}

func (s *Store) put(r Record) error {
	r = r.current()
	r.Changed = time.Now().UTC().Round(time.Millisecond)
	b, err := r.encode()
	if err != nil {
		return err
	}
	if _, err := decode(r.key().file(), b, s.kinds); err != nil {
		return errs.New(fs.ErrInvalid, "record %s of %s could not be read again: %w", r.Interface, r.Guest, err)
	}
	if err := s.putFile(r.key().file(), b); err != nil {
		return fmt.Errorf("write the record of %s of %s: %w", r.Interface, r.Guest, err)
	}
	return nil
}

// putFile writes a file in place of the one of that name, durably.
func (d *dirHandle) putFile(name string, b []byte) error {
	unlock, err := d.lockDir(unix.F_RDLCK)
	if err != nil {
		return err
	}
	defer unlock()
	temp := fmt.Sprintf("%s%016x", tempPrefix, rand.Uint64())
	if err := d.write(temp, b); err != nil {
		return fmt.Errorf("write in %s: %w", d.dir, errs.Join(err, d.unlink(temp)))
	}
	if err := unix.Renameat(d.fd(), temp, d.fd(), name); err != nil {
		return fmt.Errorf("write %s: %w", d.path(name), errs.Join(err, d.unlink(temp)))
	}
	return d.sync()
}

// write makes a file that was not there, durably.
func (d *dirHandle) write(name string, b []byte) error {
	fd, err := unix.Openat(d.fd(), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errs.Join(err, f.Close())
}

func (d *dirHandle) sync() error {
	if err := d.f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", d.dir, err)
	}
	return nil
}

func (d *dirHandle) unlink(name string) error { return orNil(unix.Unlinkat(d.fd(), name, 0)) }

func (d *dirHandle) path(name string) string { return filepath.Join(d.dir, name) }

func (s *Store) delete(k key) error { return s.deleteFile(k.file()) }

// deleteFile removes a file, durably; nil where there is none.
func (d *dirHandle) deleteFile(name string) error {
	unlock, err := d.lockDir(unix.F_RDLCK)
	if err != nil {
		return err
	}
	defer unlock()
	err = unix.Unlinkat(d.fd(), name, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", d.path(name), err)
	}
	return d.sync()
}

func (s *Store) get(k key) (*Record, error) {
	r, err := s.read(k.file())
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, fmt.Errorf("%s is not read here: %w", s.path(k.file()), err)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errs.New(fs.ErrNotExist, "%s is damaged: %w", s.path(k.file()), err)
	}
	return r, err
}

// read reads a record.
func (s *Store) read(name string) (*Record, error) {
	b, err := s.readFile(name, sizeMax)
	if err != nil {
		return nil, err
	}
	return decode(name, b, s.kinds)
}

// note reads a note.
func (d *dirHandle) note(name string) ([]byte, error) {
	b, err := d.readFile(name, noteMax)
	switch {
	case err == nil && len(b) > noteMax:
		err = fmt.Errorf("it has more than %d bytes", noteMax)
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return b, err
	}
	return nil, errs.New(fs.ErrInvalid, "%s is damaged: %w", d.path(name), err)
}

// readFile reads a file, and of one that is longer than most one byte more than that. No FIFO
// makes it wait, no link leads it elsewhere.
func (d *dirHandle) readFile(name string, most int64) ([]byte, error) {
	fd, err := unix.Openat(d.fd(), name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, unix.ELOOP) {
			return nil, errors.New("it is a symbolic link")
		}
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() { _ = f.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errors.New("it is no regular file")
	}
	if err := mayTrust(&st); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, most+1))
}

func (s *Store) all() (records []Record, damaged []error, err error) {
	records, err = s.scan(func(file string, why error) {
		if !errors.Is(why, errors.ErrUnsupported) {
			why = s.setAside(file)
		}
		if why != nil {
			damaged = append(damaged, why)
		}
	})
	return records, damaged, err
}

// scan reads every record, in the order of All, and changes nothing. It tells unread of each
// file that has a record's name and is not read, and why.
func (s *Store) scan(unread func(file string, why error)) (records []Record, err error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !isRecord(name) {
			continue
		}
		switch r, err := s.read(name); {
		case err == nil:
			records = append(records, *r)
		case errors.Is(err, errors.ErrUnsupported):
			unread(name, fmt.Errorf("%s stays, and is not read here: %w", s.path(name), err))
		case !errors.Is(err, fs.ErrNotExist):
			unread(name, fmt.Errorf("%s is damaged: %w", s.path(name), err))
		}
	}
	slices.SortFunc(records, func(a, b Record) int {
		return strings.Compare(a.Guest.String()+"\x00"+a.Interface, b.Guest.String()+"\x00"+b.Interface)
	})
	return records, nil
}

// names lists the directory, which another handle reads: its place is its own.
func (d *dirHandle) names() ([]string, error) {
	fd, err := unix.Openat(d.fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.dir, err)
	}
	f := os.NewFile(uintptr(fd), d.dir)
	defer func() { _ = f.Close() }()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.dir, err)
	}
	return names, nil
}

// setAside moves an entry that has a record's name and is none into the folder
// damaged, whatever it is, and says so. Nobody writes meanwhile: it may have become a
// record just now.
func (s *Store) setAside(name string) error {
	unlock, err := s.lockDir(unix.F_WRLCK)
	if err != nil {
		return fmt.Errorf("%s is damaged and stays: %w", s.path(name), err)
	}
	defer unlock()
	_, wrong := s.read(name)
	if wrong == nil || errors.Is(wrong, fs.ErrNotExist) || errors.Is(wrong, errors.ErrUnsupported) {
		return nil
	}
	to, err := s.moveAside(name)
	if err != nil {
		return fmt.Errorf("%s is damaged (%w) and stays: %w", s.path(name), wrong, err)
	}
	return errs.Join(fmt.Errorf("%s is damaged, and set aside as %s: %w", s.path(name), s.path(to), wrong), s.sync())
}

// moveAside moves an entry into the folder damaged, over nothing that is there.
func (d *dirHandle) moveAside(name string) (to string, err error) {
	if err := unix.Mkdirat(d.fd(), damagedDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	folder, err := unix.Openat(d.fd(), damagedDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(folder) }()
	to = name
	err = unix.Renameat2(d.fd(), name, folder, to, unix.RENAME_NOREPLACE)
	for n := 1; errors.Is(err, fs.ErrExist) && n < 1000; n++ {
		to = fmt.Sprintf("%s.%d", name, n)
		err = unix.Renameat2(d.fd(), name, folder, to, unix.RENAME_NOREPLACE)
	}
	return filepath.Join(damagedDir, to), err
}

// sweep removes what a killed process was writing. The lock keeps writers out meanwhile.
func (d *dirHandle) sweep() error {
	unlock, err := d.lockDir(unix.F_WRLCK)
	if err != nil {
		return err
	}
	defer unlock()
	names, err := d.names()
	for _, name := range names {
		if isNew(name) {
			err = errs.Join(err, d.unlink(name))
		}
	}
	return err
}

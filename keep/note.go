package keep

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
)

// A Note is a file beside the records, of what is no attachment: its kind, such as uplink, and
// what of the host it is about.
type Note struct{ Kind, Of string }

// noteMax is the most bytes that a note has: thousands of routes.
const noteMax = 4 << 20

// PutNote writes the note, durably, in place of the one that was there. One too long to
// be read again is refused with an error that satisfies fs.ErrInvalid.
func (s *Store) PutNote(n Note, b []byte) error {
	if len(b) > noteMax {
		return errs.New(fs.ErrInvalid, "the note %s of %s would have %d bytes, and %d at most are read", n.Kind, n.Of, len(b), noteMax)
	}
	return s.putFile(n.file(), b)
}

// Note reads the note. Where there is none the error satisfies fs.ErrNotExist; one that others
// could have written, or that is no file of at most four MiB, is fs.ErrInvalid.
func (s *Store) Note(n Note) ([]byte, error) { return s.note(n.file()) }

// Notes reads all notes of the kind, in the order of their files. What cannot be read is told as
// an error of its own, beside the others.
func (s *Store) Notes(kind string) (notes [][]byte, err error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var failed []error
	for _, name := range names {
		if !strings.HasPrefix(name, kind+".") || strings.HasSuffix(name, suffix) { // a record of a guest of that name
			continue
		}
		b, err := s.note(name)
		switch {
		case err == nil:
			notes = append(notes, b)
		case !errors.Is(err, fs.ErrNotExist): // it may have gone meanwhile
			failed = append(failed, err)
		}
	}
	return notes, errs.Join(failed...)
}

// DeleteNote removes the note; nil where there is none. It needs no room on the disk.
func (s *Store) DeleteNote(n Note) error { return s.deleteFile(n.file()) }

// LockNote makes those wait for one another who are at work on what the note is about, in
// whatever process. It waits until ctx ends, and ends with the process.
func (s *Store) LockNote(ctx context.Context, n Note) (unlock func(), err error) {
	return s.lock(ctx, key{n.Kind, n.Of})
}

// file is the name of the note's file: kind, what it is of, and twelve hex digits.
func (n Note) file() string {
	sum := sha256.Sum256([]byte(n.Of))
	of := strings.Map(safe, n.Of)
	return fmt.Sprintf("%s.%s.%x", n.Kind, of[:min(len(of), ifaceMax)], sum[:sumSize])
}

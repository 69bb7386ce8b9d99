package keep

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
)

// A directory of records is ours if it has the marker, or holds nothing but names
// that this package gives: it may be empty, or of a version that wrote no marker.
// In any other one nothing is touched, and in ours nothing but names of these forms.

// marker is the file that says so. Only that it is there counts.
const marker = ".pipework"

// markerText is for people.
const markerText = "This directory holds pipework's records of what is plugged in (pipework check). Other files here are left alone.\n"

// tempPrefix begins the names of records that are being written; sixteen hex digits
// follow.
const tempPrefix = ".new-"

// damagedDir is the folder for damaged records.
const damagedDir = "damaged"

// isRecord says whether name has the form that key.file gives: guest, interface and
// twelve hex digits.
func isRecord(name string) bool {
	words := strings.Split(name, ".")
	return len(words) == 4 && isSafe(words[0], guestMax) && isSafe(words[1], ifaceMax) && isHex(words[2], 2*sumSize) && "."+words[3] == suffix
}

// noteKinds are the kinds of notes that there are.
var noteKinds = []string{"uplink", "unconfirmed", "shim"}

// isNote says whether name has the form that Note.file gives.
func isNote(name string) bool {
	words := strings.Split(name, ".")
	return len(words) == 3 && slices.Contains(noteKinds, words[0]) && isSafe(words[1], ifaceMax) && isHex(words[2], 2*sumSize)
}

// isNew says whether name is that of a record that is being written.
func isNew(name string) bool {
	digits, found := strings.CutPrefix(name, tempPrefix)
	return found && isHex(digits, 16)
}

// isOurs says whether this package may have made an entry of this name. A file
// system of its own begins with lost+found.
func isOurs(name string) bool {
	return isRecord(name) || isNote(name) || isNew(name) || name == lockFile || name == damagedDir || name == "lost+found"
}

func isSafe(word string, most int) bool {
	return word != "" && len(word) <= most && strings.Map(safe, word) == word
}

func isHex(word string, length int) bool {
	return len(word) == length && strings.Trim(word, "0123456789abcdef") == ""
}

// ours says why a directory is not pipework's.
func (d *dirHandle) ours() error {
	if has, err := d.hasMarker(); has || err != nil {
		return err
	}
	names, err := d.names()
	if err != nil {
		return err
	}
	foreign := slices.DeleteFunc(names, isOurs)
	if len(foreign) == 0 {
		return nil
	}
	if has, err := d.hasMarker(); has || err != nil { // by another process, meanwhile
		return err
	}
	slices.Sort(foreign)
	return errs.New(fs.ErrExist, "state directory %s holds what is not pipework's (%s): choose an empty directory, or, to keep records beside that, touch %s",
		d.dir, some(foreign), d.path(marker))
}

// hasMarker says whether the marker is there.
func (d *dirHandle) hasMarker() (bool, error) {
	var st unix.Stat_t
	err := unix.Fstatat(d.fd(), marker, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG:
		d.marked.Store(true)
		return true, nil
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, fmt.Errorf("state directory %s: %w", d.dir, err)
}

// some are the first few names.
func some(names []string) string {
	const few = 3
	var list []string
	for _, name := range names[:min(len(names), few)] {
		list = append(list, fmt.Sprintf("%q", name))
	}
	if more := len(names) - few; more > 0 {
		list = append(list, fmt.Sprintf("%d more", more))
	}
	return strings.Join(list, ", ")
}

// mark makes the marker, before anything else is made. Where it cannot, the names
// in the directory have to tell that it is ours, as before: a full disk does not keep it
// from detaching.
func (d *dirHandle) mark() {
	if d.marked.Load() {
		return
	}
	fd, err := unix.Openat(d.fd(), marker, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err == nil {
		_, _ = unix.Write(fd, []byte(markerText))
		_ = unix.Close(fd)
	}
	d.marked.Store(err == nil || errors.Is(err, fs.ErrExist))
}

//go:build linux

package guest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// A Status is how the program ended.
type Status struct {
	Exit   int         // its exit status, when Signal is 0
	Signal unix.Signal // the signal that ended it
}

// Code is the exit status a shell would report: 128 and the signal for a program that
// a signal ended.
func (s Status) Code() int {
	if s.Signal != 0 {
		return 128 + int(s.Signal)
	}
	return s.Exit
}

// ReadStatus reads the status the guest has left in fsys, the shared folder. While
// there is none, errors.Is(err, fs.ErrNotExist) holds.
func ReadStatus(fsys fs.FS) (Status, error) {
	text, err := fs.ReadFile(fsys, StatusFile)
	if err != nil {
		return Status{}, err
	}
	var s Status
	if err := json.Unmarshal(text, &s); err != nil {
		return Status{}, fmt.Errorf("decode status: %w", err)
	}
	return s, nil
}

// writeStatus writes s whole, by renaming: the host looks for it all the time.
func writeStatus(share *os.Root, s Status) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	if err := share.WriteFile(StatusFile+".new", text, 0o644); err != nil {
		return err
	}
	return share.Rename(StatusFile+".new", StatusFile)
}

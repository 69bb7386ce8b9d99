package link

import (
	"io/fs"
	"slices"

	"github.com/go-pipework/pipework/internal/errs"
)

// notReserved refuses a new link of the host the name, or an alternative name, of a NIC of
// the host that is in a guest: with its name taken the NIC could not come home. The error
// satisfies fs.ErrInvalid, as that of a name that a link of the host has.
func notReserved(name string) error {
	away, err := recordedNICs(nil, func(r *nic) bool { return r.Was.Name == name || slices.Contains(r.Was.AltNames, name) })
	if err != nil || len(away) == 0 {
		return err
	}
	return errs.New(fs.ErrInvalid, "%s is the name of a NIC of the host, which is in a guest as %s: choose another name, or detach the NIC first; where the guest has ended, pipework gc brings it back", name, away[0].mark().Interface)
}

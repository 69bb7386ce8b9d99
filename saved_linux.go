package pipework

import (
	"bytes"
	"fmt"

	"github.com/go-pipework/pipework/ns"
)

// Displaced routes whole, as Attachment.Saved has them, are those of one network namespace: the
// first item tells which, so that none is put back into another one, such as that of a container
// which has restarted.

// savedIn is the first item of Saved.
func savedIn(j *job) []byte {
	return fmt.Appendf(nil, "%s %s %d", ns.BootID(), j.guest.Inode(), j.port.Conn.Cookie())
}

// saved are the routes that the parts found, for an Attachment.
func saved(j *job) [][]byte {
	if len(j.site.Saved) == 0 {
		return nil
	}
	return append([][]byte{savedIn(j)}, j.site.Saved...)
}

// known are the routes of the Spec, if they are of the guest's namespace.
func known(j *job) [][]byte {
	if s := j.spec.Saved; len(s) > 0 && bytes.Equal(s[0], savedIn(j)) {
		return s[1:]
	}
	return nil
}

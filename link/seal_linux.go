package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
)

// Earlier versions kept what a NIC was in the NIC's own mark, sealed with a key in
// the user keyring (keyrings(7)). The seal shows that the host wrote the text, not that
// the link is the one it was written on: a guest can copy a mark. So it is only read,
// where --force takes the link for the NIC anyway.

// keyName is the key's description in the user keyring.
const keyName = "pipework"

// unseal takes the seal off, unless it is broken.
func unseal(link, sealed string) (string, error) {
	have, was, _ := strings.Cut(sealed, "~")
	want, err := sealOf(link, was)
	if err != nil {
		return "", err
	}
	if !hmac.Equal([]byte(have), []byte(want)) {
		return "", errs.New(fs.ErrPermission, "its mark was not written by this host since it booted: leaving it alone")
	}
	return was, nil
}

func sealOf(link, was string) (string, error) {
	key, err := hostKey()
	if err != nil {
		return "", err
	}
	h := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(h, "%s\n%s", link, was)
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}

func hostKey() ([]byte, error) {
	id, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", keyName, 0)
	if err != nil {
		return nil, err
	}
	key := make([]byte, sha256.Size)
	if n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, key, 0); err != nil || n != len(key) {
		return nil, errs.Join(err, fs.ErrInvalid)
	}
	return key, nil
}

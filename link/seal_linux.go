package link

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
)

// What a NIC was is kept on it, where a guest's root can write: a forged mark
// could make the host give some interface any name and address. So it is sealed
// with a key that the kernel keeps for the host's user in its keyring (user
// keyring, keyrings(7)), made at random on first use and gone with the next boot,
// as the NIC's mark is. Container runtimes keep guests from keyrings by seccomp.

// keyName is the key's description in the user keyring.
const keyName = "pipework"

// seal puts the seal of a past before it.
func seal(link, was string) (string, error) {
	sum, err := sealOf(link, was)
	return sum + "~" + was, err
}

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
	if errors.Is(err, unix.ENOKEY) {
		id, err = newHostKey()
	}
	if err != nil {
		return nil, keyError(err)
	}
	key := make([]byte, sha256.Size)
	if n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, key, 0); err != nil || n != len(key) {
		return nil, keyError(err)
	}
	return key, nil
}

// newHostKey makes the key, for its owner alone, whatever session it comes from.
func newHostKey() (int, error) {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails: crypto/rand
	id, err := unix.AddKey("user", keyName, key, unix.KEY_SPEC_USER_KEYRING)
	if err != nil {
		return 0, err
	}
	const possessorAndOwner = 0x3f3f0000 // KEY_POS_ALL | KEY_USR_ALL
	return id, unix.KeyctlSetperm(id, possessorAndOwner)
}

func keyError(err error) error {
	return errs.New(errors.ErrUnsupported, "the kernel keeps no key to seal with what a NIC was: CONFIG_KEYS, and keyctl(2) must be permitted (%w)", err)
}

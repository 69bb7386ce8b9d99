//go:build linux

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// HideOpenVSwitch hides the database of the machine's Open vSwitch in this mount
// namespace, which must be private: with its socket out of sight too, it would be an
// Open vSwitch that does not answer.
func HideOpenVSwitch() error {
	for _, dir := range [...]string{"/etc/openvswitch", "/var/lib/openvswitch"} {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("hide %s: %w", dir, err)
		}
	}
	return nil
}

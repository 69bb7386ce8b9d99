//go:build !linux

package dhcp

import "os"

// openPlain opens a file to be changed in place.
func openPlain(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDWR, 0) }

package dhcp

import "golang.org/x/sys/unix"

// A pipe in a guest must not hang the caller.
const (
	nonBlock = unix.O_NONBLOCK
	noFollow = unix.O_NOFOLLOW | unix.O_NONBLOCK
)

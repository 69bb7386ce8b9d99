//go:build linux

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// StartNetwork makes the calling thread's network namespace, which must be new,
// that of a machine that has just started, whatever this machine's is: loopback is
// up, and IPv4 is not forwarded. A new namespace forwards if the machine does, as
// each one with Docker (net.core.devconf_inherit_init_net in the kernel's
// Documentation/admin-guide/sysctl/net.rst); and dockerd sets the policy of FORWARD
// to DROP only if it was itself who turned forwarding on.
func StartNetwork() error {
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("set loopback up: %w", err)
	}
	err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0)
	if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission) {
		return nil // a container's, where nobody starts Docker
	}
	return err
}

// loopbackUp sets lo up in the namespace of the calling thread.
func loopbackUp() error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.LinkSetUp(lo)
}

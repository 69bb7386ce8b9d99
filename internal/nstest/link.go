//go:build linux

package nstest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// DelLink removes a link of the host's.
func DelLink(t testing.TB, name string) {
	t.Helper()
	h := onHost(t)
	defer func() { _ = h.Close() }()
	l, err := h.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	must(t, h.LinkDel(l))
}

// NoLink is an error while the host has a link of this name.
func NoLink(t testing.TB, name string) error {
	t.Helper()
	h := onHost(t)
	defer func() { _ = h.Close() }()
	_, err := h.LinkByName(name)
	switch {
	case errors.As(err, new(netlink.LinkNotFoundError)):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("link %s is there", name)
}

// onHost opens a netlink handle in the host's namespace.
func onHost(t testing.TB) *netlink.Handle {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

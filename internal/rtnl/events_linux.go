package rtnl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/ns"
)

// Events hears of changes to IPv6 addresses and routes in one namespace: a netlink
// socket that Go's own poller waits for, so that no thread does.
type Events struct{ file *os.File }

// Listen opens Events inside the namespace.
func Listen(ctx context.Context, h *ns.Handle) (*Events, error) {
	if err := fault.Step(ctx, "open netlink events"); err != nil {
		return nil, err
	}
	fd := -1
	err := h.Do(ctx, func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		const groups = 1<<(unix.RTNLGRP_IPV6_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1)
		return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	})
	if err != nil {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		return nil, fmt.Errorf("listen to netlink: %w", err)
	}
	return &Events{os.NewFile(uintptr(fd), "netlink")}, nil
}

// Close ends it.
func (e *Events) Close() { _ = e.file.Close() }

// Until calls ready at once and after each change, until it says yes or fails, or
// ctx ends, whose cause it returns then.
func (e *Events) Until(ctx context.Context, ready func() (bool, error)) error {
	defer context.AfterFunc(ctx, func() { _ = e.file.SetReadDeadline(time.Unix(1, 0)) })()
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if yes, err := ready(); yes || err != nil {
			return err
		}
		if err := e.wait(); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("listen to netlink: %w", err)
		}
	}
}

// wait waits for a message, and takes all that there are. What they say does not
// matter, nor whether some were lost (ENOBUFS): the caller looks for itself.
func (e *Events) wait() error {
	raw, err := e.file.SyscallConn()
	if err != nil {
		return err
	}
	var buffer [512]byte
	heard := false
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for {
			_, _, err := unix.Recvfrom(int(fd), buffer[:], unix.MSG_DONTWAIT)
			switch {
			case errors.Is(err, unix.EAGAIN):
				return heard
			case err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR):
				failed = err
				return true
			}
			heard = true
		}
	})
	return errors.Join(err, failed)
}

package rtnl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Monitor hears of changes in the namespace that it was opened in. Needs no
// privilege.
type Monitor struct {
	file *os.File
	buf  []byte
}

// NewMonitor opens a Monitor of links and addresses in the namespace of the
// calling thread. What changes from now on, [Monitor.Next] tells.
func NewMonitor() (*Monitor, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route netlink: %w", err)
	}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("hear of changes of interfaces: %w", err)
	}
	return &Monitor{file: os.NewFile(uintptr(fd), "netlink"), buf: make([]byte, 32<<10)}, nil
}

// Next waits until something has changed since the last call, or ctx ends. It
// does not tell what: look once more.
func (m *Monitor) Next(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = m.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := m.file.Read(m.buf)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, unix.ENOBUFS): // more has changed than the socket holds
		return nil
	}
	return err
}

// Close closes the Monitor.
func (m *Monitor) Close() error { return m.file.Close() }

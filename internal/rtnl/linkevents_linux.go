package rtnl

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A LinkEvent is what a namespace tells of one of its links.
type LinkEvent struct {
	Name  string
	Index int
	Up    bool
	Gone  bool // it was removed, or moved to another namespace
	Left  bool // it has left its bridge
}

// LinkEvents hears of changes of links in the namespace that it was opened in. Needs no
// privilege.
type LinkEvents struct {
	file *os.File
	buf  []byte
}

// NewLinkEvents opens LinkEvents in the namespace of the calling thread.
func NewLinkEvents() (*LinkEvents, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route netlink: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("hear of changes of interfaces: %w", err)
	}
	return &LinkEvents{file: os.NewFile(uintptr(fd), "netlink"), buf: make([]byte, 64<<10)}, nil
}

// Next waits for events, until then at the latest; the zero time is never. Events that the
// socket had no room for are lost. After Close the error satisfies os.ErrClosed.
func (e *LinkEvents) Next(until time.Time) ([]LinkEvent, error) {
	if err := e.file.SetReadDeadline(until); err != nil {
		return nil, err
	}
	n, err := e.file.Read(e.buf)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, unix.ENOBUFS):
		return nil, nil
	case err != nil:
		return nil, err
	}
	msgs, err := syscall.ParseNetlinkMessage(e.buf[:n])
	if err != nil {
		return nil, fmt.Errorf("read changes of interfaces: %w", err)
	}
	var events []LinkEvent
	for _, m := range msgs {
		gone := m.Header.Type == unix.RTM_DELLINK
		if !gone && m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
			continue
		}
		if l, err := parseLink(m.Data); err == nil {
			left := gone && m.Data[0] == unix.AF_BRIDGE
			events = append(events, LinkEvent{Name: l.Name, Index: l.Index, Up: l.Up, Gone: gone && !left, Left: left})
		}
	}
	return events, nil
}

// Close ends it, and a Next at work.
func (e *LinkEvents) Close() { _ = e.file.Close() }

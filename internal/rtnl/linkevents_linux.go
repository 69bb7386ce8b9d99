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
	Name    string
	Index   int
	Up      bool
	Carrier bool   // of a pair's end: the other one is up, too
	Downs   uint32 // how often it has lost its carrier
	Gone    bool   // it was removed, or moved to another namespace
	Left    bool   // it has left its bridge
	// Unfiltered says only that a filter, or a qdisc, of the link of this Index was removed.
	Unfiltered bool
}

// LinkEvents hears of changes of links, and of filters that are removed, in the namespace that it was opened in. Needs no
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
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK | unix.RTMGRP_TC}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("hear of changes of interfaces: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, eventsRoom) != nil { // not root
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, eventsRoom) // as much as there may be
	}
	return &LinkEvents{file: os.NewFile(uintptr(fd), "netlink"), buf: make([]byte, 128<<10)}, nil
}

// eventsRoom is how much of events the socket holds, some thousands of them.
const eventsRoom = 4 << 20

// Next waits for events, until then at the latest; the zero time is never. Where lost is
// true there were others, which the socket had no room for, or which cannot be read: a link
// with hundreds of alternative names makes long ones. After Close the error satisfies
// os.ErrClosed.
func (e *LinkEvents) Next(until time.Time) (events []LinkEvent, lost bool, err error) {
	if err := e.file.SetReadDeadline(until); err != nil {
		return nil, false, err
	}
	n, err := e.file.Read(e.buf)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, false, nil
	case errors.Is(err, unix.ENOBUFS):
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	events, err = parseLinkEvents(e.buf[:n])
	return events, err != nil, nil
}

// parseLinkEvents are the events of a datagram. The error is of one that was cut.
func parseLinkEvents(b []byte) (events []LinkEvent, err error) {
	msgs, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return nil, fmt.Errorf("read changes of interfaces: %w", err)
	}
	for _, m := range msgs {
		if m.Header.Type == unix.RTM_DELTFILTER || m.Header.Type == unix.RTM_DELQDISC {
			if len(m.Data) >= sizeofTcmsg {
				events = append(events, LinkEvent{Index: int(u32(m.Data[4:])), Unfiltered: true})
			}
			continue
		}
		gone := m.Header.Type == unix.RTM_DELLINK
		if !gone && m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
			continue
		}
		ofBridge := m.Data[0] == unix.AF_BRIDGE // of a port as the bridge has it
		if ofBridge && !gone {
			continue // which does not say all, and nothing that another one does not
		}
		if l, err := parseLink(m.Data); err == nil {
			left := gone && ofBridge
			events = append(events, LinkEvent{Name: l.Name, Index: l.Index, Up: l.Up, Carrier: l.Running, Downs: l.Downs, Gone: gone && !left, Left: left})
		}
	}
	return events, nil
}

// Close ends it, and a Next at work.
func (e *LinkEvents) Close() { _ = e.file.Close() }

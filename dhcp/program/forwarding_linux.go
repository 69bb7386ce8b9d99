package program

import (
	"context"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/announce"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// awaitForwarding waits, before a program is started, until frames of the interface reach
// others: an attach without addresses does not. What it warns of is in at.
func awaitForwarding(ctx context.Context, a *pipework.Attacher, t pipework.Target, b link.Backend, at *pipework.Attachment) error {
	guest, err := t.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = guest.Close() }()
	inside, err := guest.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = inside.Close() }()
	host, closeHost, err := openHost(ctx, a)
	if err != nil {
		return err
	}
	defer closeHost()
	p := &link.Port{
		Host: host, Guest: guest, Conn: inside, Name: at.Name,
		Mark: link.Mark{Interface: at.Name, Link: at.Link}, Warnings: at.Warnings,
	}
	if _, err := b.Check(ctx, p); err != nil { // which finds the host's end
		return err
	}
	err = announce.WaitForwarding(ctx, p)
	at.Warnings = p.Warnings
	return err
}

// openHost is the namespace that bridges are in.
func openHost(ctx context.Context, a *pipework.Attacher) (host link.Host, closeHost func(), err error) {
	host.Find = a.Find
	if host.Handle = a.Host; a.Host != nil {
		host.Conn, err = a.Host.Conn(ctx)
		return host, func() { _ = host.Conn.Close() }, err
	}
	host.Handle, host.Conn, err = ns.Here(ctx)
	return host, func() { _ = host.Conn.Close(); _ = host.Close() }, err
}

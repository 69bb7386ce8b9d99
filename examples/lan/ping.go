//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"github.com/go-pipework/pipework/ns"
)

// ping sends ICMP echo requests from inside a namespace until one is answered, and
// returns how long that took.
func ping(ctx context.Context, from *ns.Handle, to netip.Addr) (time.Duration, error) {
	var conn *icmp.PacketConn
	err := from.Do(ctx, func() (err error) {
		conn, err = icmp.ListenPacket("ip4:icmp", "")
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("ping %s: %w", to, err)
	}
	defer func() { _ = conn.Close() }()
	id := rand.IntN(1 << 16)
	for seq := 1; ctx.Err() == nil; seq++ {
		request := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: id, Seq: seq}}
		packet, err := request.Marshal(nil)
		if err != nil {
			return 0, err
		}
		sent := time.Now()
		if _, err := conn.WriteTo(packet, &net.IPAddr{IP: to.AsSlice()}); err != nil {
			time.Sleep(20 * time.Millisecond) // nobody answers for the address yet
			continue
		}
		if answered(conn, to, icmp.Echo{ID: id, Seq: seq}, sent.Add(250*time.Millisecond)) {
			return time.Since(sent), nil
		}
	}
	return 0, fmt.Errorf("ping %s: %w", to, ctx.Err())
}

// answered waits for the reply to a request, from the one that was asked.
func answered(conn *icmp.PacketConn, from netip.Addr, request icmp.Echo, until time.Time) bool {
	buf := make([]byte, 1500)
	for {
		if err := conn.SetReadDeadline(until); err != nil {
			return false
		}
		n, peer, err := conn.ReadFrom(buf)
		if err != nil {
			return false
		}
		msg, err := icmp.ParseMessage(1, buf[:n])
		if err != nil || msg.Type != ipv4.ICMPTypeEchoReply || peer.String() != from.String() {
			continue
		}
		if echo, ok := msg.Body.(*icmp.Echo); ok && echo.ID == request.ID && echo.Seq == request.Seq {
			return true
		}
	}
}

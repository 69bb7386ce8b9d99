//go:build linux

package sandbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/go-pipework/pipework/ns"
)

// Ping sends ICMP echo requests to an address from inside a namespace, four a
// second, until one of them is answered, however late, or ctx ends. It returns the
// time that the answer took.
func Ping(ctx context.Context, from *ns.Handle, to netip.Addr) (time.Duration, error) {
	network, echo, reply, proto := "ip4:icmp", icmp.Type(ipv4.ICMPTypeEcho), icmp.Type(ipv4.ICMPTypeEchoReply), 1
	if to.Is6() {
		network, echo, reply, proto = "ip6:ipv6-icmp", ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply, 58
	}
	var conn *icmp.PacketConn
	err := from.Do(ctx, func() (err error) {
		conn, err = icmp.ListenPacket(network, "")
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("ping %s: %w", to, err)
	}
	defer func() { _ = conn.Close() }()
	want := answer{reply, proto, to.String(), rand.IntN(1 << 16), make(map[int]time.Time)}
	for seq := 1; ; seq++ {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("ping %s: no answer to %d requests: %w", to, seq-1, ctx.Err())
		}
		sent := time.Now()
		msg := icmp.Message{Type: echo, Body: &icmp.Echo{ID: want.id, Seq: seq, Data: []byte("pipework")}}
		packet, err := msg.Marshal(nil)
		if err != nil {
			return 0, err
		}
		if _, err := conn.WriteTo(packet, &net.IPAddr{IP: to.AsSlice()}); err != nil && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond) // no route or no neighbour yet: try until ctx ends
			continue
		}
		want.sent[seq] = sent
		if took, ok := want.arrives(conn, sent.Add(250*time.Millisecond)); ok {
			return took, nil
		}
	}
}

// An answer is the echo reply that is waited for, to any of the requests.
type answer struct {
	reply icmp.Type
	proto int
	from  string
	id    int
	sent  map[int]time.Time // by sequence number
}

func (a answer) arrives(conn *icmp.PacketConn, until time.Time) (took time.Duration, ok bool) {
	buf := make([]byte, 1500)
	for {
		if err := conn.SetReadDeadline(until); err != nil {
			return 0, false
		}
		n, peer, err := conn.ReadFrom(buf)
		if err != nil {
			return 0, false
		}
		msg, err := icmp.ParseMessage(a.proto, buf[:n])
		if err != nil || msg.Type != a.reply || peer.String() != a.from {
			continue
		}
		if echo, ok := msg.Body.(*icmp.Echo); ok && echo.ID == a.id && !a.sent[echo.Seq].IsZero() {
			return time.Since(a.sent[echo.Seq]), true
		}
	}
}

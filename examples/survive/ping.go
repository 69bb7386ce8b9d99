//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"github.com/go-pipework/pipework/ns"
)

// A pinger sends an ICMP echo request every few milliseconds, and remembers when
// each was sent and answered.
type pinger struct {
	to   netip.Addr
	conn *icmp.PacketConn
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	sent    [1 << 16]time.Time // by sequence number
	replied []reply            // in the order of arrival
}

type reply struct{ sent, at time.Time }

const every = 2 * time.Millisecond

// newPinger pings from inside a namespace until it is closed.
func newPinger(ctx context.Context, from *ns.Handle, to netip.Addr) (*pinger, error) {
	p := &pinger{to: to}
	err := from.Do(ctx, func() (err error) {
		p.conn, err = icmp.ListenPacket("ip4:icmp", "")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ping %s: %w", to, err)
	}
	ctx, p.stop = context.WithCancel(ctx)
	p.wg.Go(func() { p.send(ctx) })
	p.wg.Go(p.receive)
	return p, nil
}

func (p *pinger) close() {
	p.stop()
	_ = p.conn.Close()
	p.wg.Wait()
}

func (p *pinger) send(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for seq := 0; ; seq = (seq + 1) % (1 << 16) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		msg := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 7, Seq: seq, Data: []byte("pipework")}}
		packet, err := msg.Marshal(nil)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.sent[seq] = time.Now()
		p.mu.Unlock()
		_, _ = p.conn.WriteTo(packet, &net.IPAddr{IP: p.to.AsSlice()}) // what is lost, is lost
	}
}

func (p *pinger) receive() {
	buf := make([]byte, 1500)
	for {
		n, peer, err := p.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		msg, err := icmp.ParseMessage(1, buf[:n])
		if err != nil || msg.Type != ipv4.ICMPTypeEchoReply || peer.String() != p.to.String() {
			continue
		}
		if echo, ok := msg.Body.(*icmp.Echo); ok {
			p.mu.Lock()
			p.replied = append(p.replied, reply{p.sent[echo.Seq], time.Now()})
			p.mu.Unlock()
		}
	}
}

// answered waits for the first answer to a request that was sent after a time, and
// returns when it came.
func (p *pinger) answered(after time.Time, patience time.Duration) (time.Time, error) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(every / 2) {
		p.mu.Lock()
		for _, r := range p.replied {
			if r.sent.After(after) {
				p.replied = p.replied[:0]
				p.mu.Unlock()
				return r.at, nil
			}
		}
		p.mu.Unlock()
	}
	return time.Time{}, fmt.Errorf("%s has not answered for %v", p.to, patience)
}

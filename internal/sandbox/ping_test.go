//go:build linux

package sandbox_test

import (
	"context"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
)

func TestMain(m *testing.M) { nstest.Main(m) }

// TestPingLate has a peer that answers each request after longer than the time
// between two, as a userspace datapath does on a busy machine.
func TestPingLate(t *testing.T) {
	_, g := nstest.Guest(t)
	var conn *icmp.PacketConn
	err := g.Do(t.Context(), func() (err error) {
		if err := os.WriteFile("/proc/sys/net/ipv4/icmp_echo_ignore_all", []byte("1"), 0); err != nil {
			return err
		}
		conn, err = icmp.ListenPacket("ip4:icmp", "127.0.0.1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	go func() {
		for buf := make([]byte, 1500); ; {
			n, peer, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			m, err := icmp.ParseMessage(1, buf[:n])
			if err != nil || m.Type != ipv4.ICMPTypeEcho {
				continue
			}
			m.Type = ipv4.ICMPTypeEchoReply
			if reply, err := m.Marshal(nil); err == nil {
				time.AfterFunc(600*time.Millisecond, func() { _, _ = conn.WriteTo(reply, peer) })
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	took, err := sandbox.Ping(ctx, g.Handle, netip.MustParseAddr("127.0.0.1"))
	if err != nil || took < 600*time.Millisecond {
		t.Error(took, err)
	}
}

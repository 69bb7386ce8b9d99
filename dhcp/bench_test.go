//go:build linux

package dhcp

import (
	"net"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/dhcptest"
)

// BenchmarkAcquire compares Acquire with a bare exchange of nclient4, DISCOVER to
// ACK, on a socket opened in the same guest, with the same server; and with what
// others take until they have a lease: busybox's udhcpc, told to configure nothing,
// and CNI's dhcp plugin with its daemon. The bare one closes its socket behind its
// back too: that takes 14 ms of waiting. What nobody here waits for: dnsmasq is told
// not to ping an address before it offers it, which takes seconds, and Acquire probes it
// only while the server answers (Config.Probe is 0).
func BenchmarkAcquire(b *testing.B) {
	dhcptest.Network(b)
	dhcptest.Dnsmasq(b)
	c, g := guest(b)
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			bare(b, c)
		}
	})
	b.Run("acquire", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			acquire(b, c, nil)
		}
	})
	b.Run("reboot", func(b *testing.B) {
		l := acquire(b, c, nil)
		b.ReportAllocs()
		for b.Loop() {
			acquire(b, c, l)
		}
	})
	b.Run("udhcpc", func(b *testing.B) {
		program := dhcptest.Need(b, "udhcpc")
		for b.Loop() {
			dhcptest.Run(b, g, "", program, "-f", "-q", "-n", "-i", "eth1", "-s", "/bin/true")
		}
	})
	b.Run("cni", func(b *testing.B) {
		cni := dhcptest.NewCNI(b, g)
		for b.Loop() {
			cni.Add(b)
			b.StopTimer()
			cni.Del(b)
			b.StartTimer()
		}
	})
}

func bare(b *testing.B, c *Client) {
	var raw *packet.Conn
	err := c.Guest.Do(b.Context(), func() (err error) {
		raw, err = packet.Listen(&net.Interface{Index: c.Index}, packet.Datagram, unix.ETH_P_IP, nil)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	client, err := nclient4.NewWithConn(nclient4.NewBroadcastUDPConn(raw, &net.UDPAddr{Port: 68}), c.MAC)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := client.Request(b.Context()); err != nil {
		b.Fatal(err)
	}
	go func() { _ = client.Close() }()
}

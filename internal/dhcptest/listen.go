//go:build linux

package dhcptest

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/arp"

	"github.com/go-pipework/pipework/internal/testwait"
)

// Listen listens on the network for gratuitous ARP, for the length of the test.
// announced fails the test unless one told, or tells within three seconds, that
// the address is at the MAC.
func Listen(t testing.TB) (announced func(a netip.Addr, mac string)) {
	t.Helper()
	lan, err := net.InterfaceByName(Bridge)
	must(t, err)
	client, err := arp.Dial(lan)
	must(t, err)
	told := make(chan string, 1000)
	go func() {
		for p, _, err := client.Read(); err == nil; p, _, err = client.Read() {
			if p.SenderIP == p.TargetIP {
				told <- p.SenderIP.String() + " is at " + p.SenderHardwareAddr.String()
			}
		}
		close(told)
	}()
	t.Cleanup(func() {
		_ = client.Close()
		for range told { // until the reader has ended
			continue
		}
	})
	return func(a netip.Addr, mac string) {
		t.Helper()
		want := a.String() + " is at " + mac
		for late := time.After(testwait.Patience); ; {
			select {
			case got := <-told:
				if got == want {
					return
				}
			case <-late:
				t.Errorf("nobody announced that %s", want)
				return
			}
		}
	}
}

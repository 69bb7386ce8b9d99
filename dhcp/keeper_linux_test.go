package dhcp

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// TestKeepsUntilTheGuestDies keeps a lease of four seconds past its end, from a
// real server, then kills the guest.
func TestKeepsUntilTheGuestDies(t *testing.T) {
	dhcptest.Need(t, "kea-dhcp4")
	dhcptest.Network(t)
	dhcptest.Kea(t, 4)
	p := nstest.Process(t)
	g, err := ns.PID(p.PID).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eth1 := dhcptest.Plug(t, g)
	c := &Client{Guest: g.Handle, Name: "eth1", Index: eth1.Attrs().Index, MAC: eth1.Attrs().HardwareAddr}
	l := acquire(t, c, nil)
	dhcptest.AddAddr(t, g, l.Addr)
	_ = g.Close()
	events := make(chan Event, 100)
	kept := Kept{Target: ns.PID(p.PID), Interface: "eth1", Lease: l, Event: func(ev Event) { events <- ev }}
	ended := make(chan error, 1)
	go func() { ended <- Keep(t.Context(), kept) }()
	for end := l.Expires.Add(time.Second); time.Now().Before(end); {
		ev := <-events
		if ev.Kind != Renewed || ev.Lease.Addr != l.Addr || !ev.Lease.Expires.After(time.Now()) {
			t.Fatalf("event %+v", ev)
		}
	}
	killed := time.Now()
	_ = p.Kill()
	if err := testwait.Receive(t, "the guest's death is noticed", ended); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	t.Logf("death noticed after %v", time.Since(killed))
	if ev := <-events; ev.Kind != Ended {
		t.Errorf("event %+v", ev)
	}
	dhcptest.Unplugged(t, eth1) // nothing keeps the namespace, and with it the pair
}

func TestKeepEndsWithItsContext(t *testing.T) {
	p := nstest.Process(t)
	dhcptest.Network(t)
	g, err := ns.PID(p.PID).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dhcptest.Plug(t, g)
	_ = g.Close()
	world := nstest.Observe(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Keep(ctx, Kept{Target: ns.PID(p.PID), Interface: "eth1", Lease: &Lease{}})
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	world.Unchanged(t)
}

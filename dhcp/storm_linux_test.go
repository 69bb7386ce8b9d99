package dhcp

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
)

// server4 answers on the network as answer says, until the test ends.
func server4(t *testing.T, answer func(m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4) {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = errors.Join(unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, dhcptest.Bridge),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1))
		})
		return errors.Join(err, failed)
	}}
	conn, err := lc.ListenPacket(t.Context(), "udp4", ":67")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-ended })
	go func() {
		defer close(ended)
		b := make([]byte, 1500)
		for {
			n, _, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			m, err := dhcpv4.FromBytes(b[:n])
			if err != nil {
				t.Errorf("the client sent %x: %v", b[:n], err)
				return
			}
			if _, err := conn.WriteTo(answer(m).ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: clientPort}); err != nil && !errors.Is(err, net.ErrClosed) { // closed as the test ends
				t.Error(err)
			}
		}
	}()
}

// answer4 is an answer to q with these options.
func answer4(t *testing.T, q *dhcpv4.DHCPv4, kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.NewReplyFromRequest(q, append(mods, dhcpv4.WithMessageType(kind), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(dhcptest.Router))))...)
	if err != nil {
		t.Error(err)
	}
	return m
}

// A crowd are clients whose leases a server gives odd times. The first one's are
// sound: it is renewed after two seconds, and counts as the clock.
type crowd struct {
	mu    sync.Mutex
	times [][3]uint32 // of each client: lease (of DHCPv6: valid for), T1, T2
	who   []string    // the clients, in the order in which they came
	asked []int       // how many messages each has sent since it has its lease
}

// number is which client this is, and counts its message.
func (c *crowd) number(client string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.who, client)
	if i < 0 {
		i = len(c.who)
		c.who, c.asked = append(c.who, client), append(c.asked, 0)
	}
	c.asked[i]++
	return i
}

// TestNoRenewalStorm keeps leases of servers that want them renewed without end.
// While one of sound times is renewed twice, the server hears nothing of the others.
func TestNoRenewalStorm(t *testing.T) {
	for name, test := range map[string]struct {
		family Family
		times  [][3]uint32
		serve  func(*testing.T, *crowd)
	}{
		"DHCPv4": {IPv4, [][3]uint32{{60, 2, 4}, {600, 0, 0}, {600, 5, 0}, {600, 0, 5}, {600, 1, 1}, {600, 1, 600}, {1<<32 - 2, 0, 0}}, serve4},
		"DHCPv6": {IPv6, [][3]uint32{{60, 2, 4}, {600, 0, 0}, {600, 5, 0}, {600, 0, 5}, {600, 1, 1}, {600, 1, 600}, {1<<32 - 2, 0, 0}}, serve6},
	} {
		t.Run(name, func(t *testing.T) {
			dhcptest.Network(t)
			c := &crowd{times: test.times}
			test.serve(t, c)
			c.keep(t, test.family)
			c.mu.Lock()
			defer c.mu.Unlock()
			for i, n := range c.asked {
				if i == 0 && n < 2 || i > 0 && n != 0 {
					t.Errorf("lease, T1 and T2 of %v: %d messages", c.times[i], n)
				}
			}
		})
	}
}

func serve4(t *testing.T, c *crowd) {
	server4(t, func(q *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		i := c.number(q.ClientHWAddr.String())
		mods := []dhcpv4.Modifier{dhcpv4.WithYourIP(net.IPv4(10, 77, 0, byte(50+i)))}
		for n, code := range []uint8{51, 58, 59} {
			value := binary.BigEndian.AppendUint32(nil, c.times[i][n])
			mods = append(mods, dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), value)))
		}
		kind := dhcpv4.MessageTypeOffer
		if q.MessageType() == dhcpv4.MessageTypeRequest {
			kind = dhcpv4.MessageTypeAck
		}
		return answer4(t, q, kind, mods...)
	})
}

func serve6(t *testing.T, c *crowd) {
	server6(t, func(q *dhcpv6.Message) [][]byte {
		i := c.number(string(q.Options.ClientID().ToBytes()))
		kind, times := dhcpv6.MessageTypeReply, c.times[i]
		if q.MessageType == dhcpv6.MessageTypeSolicit {
			kind = dhcpv6.MessageTypeAdvertise
		}
		m := answer6(kind, times[1], times[2], []iaaddr{{"fd77::5", times[0], times[0]}}, func(m *dhcpv6.Message, ia *dhcpv6.OptIANA) {
			ia.IaId = q.Options.OneIANA().IaId
			m.UpdateOption(dhcpv6.OptClientID(q.Options.ClientID()))
		})
		return [][]byte{to(q, m)}
	})
}

// keep gets a lease for each client, and keeps them all until the first one's has
// been renewed twice.
func (c *crowd) keep(t *testing.T, family Family) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer func() { cancel(); running.Wait() }()
	keeper, clock := &Keeper{}, make(chan Event, 100)
	for i := range c.times {
		target, g := nstest.Guest(t)
		dhcptest.NoDAD(t, g)
		eth1 := dhcptest.Plug(t, g)
		client := &Client{Guest: g.Handle, Name: "eth1", Index: eth1.Attrs().Index, MAC: eth1.Attrs().HardwareAddr, Config: Config{Family: family}}
		kept := Kept{Target: target, Interface: "eth1", Config: client.Config, Lease: acquire(t, client, nil)}
		if family == IPv4 {
			dhcptest.AddAddr(t, g, kept.Lease.Addr)
		}
		if i == 0 {
			kept.Event = func(ev Event) { clock <- ev }
		}
		if _, err := keeper.Add(ctx, kept); err != nil {
			t.Fatal(err)
		}
	}
	c.mu.Lock()
	clear(c.asked)
	c.mu.Unlock()
	running.Go(func() { _ = keeper.Run(ctx) })
	for renewed := 0; renewed < 2; {
		switch ev := <-clock; ev.Kind {
		case Renewed:
			renewed++
		case Failed: // on a busy machine
		default:
			t.Fatalf("the clock: %+v", ev)
		}
	}
}

// TestRefusedAgain has a server that refuses every request: the client begins anew
// twice, after a second and after two more.
func TestRefusedAgain(t *testing.T) {
	dhcptest.Network(t)
	var mu sync.Mutex
	begun := map[dhcpv4.TransactionID]time.Time{}
	server4(t, func(q *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		mu.Lock()
		defer mu.Unlock()
		if q.MessageType() == dhcpv4.MessageTypeRequest {
			return answer4(t, q, dhcpv4.MessageTypeNak)
		}
		if begun[q.TransactionID].IsZero() {
			begun[q.TransactionID] = time.Now()
		}
		return answer4(t, q, dhcpv4.MessageTypeOffer, dhcpv4.WithYourIP(net.IPv4(10, 77, 0, 50)), dhcpv4.WithLeaseTime(600))
	})
	c, _ := guest(t)
	if _, err := c.Acquire(t.Context(), nil); !errors.Is(err, ErrNAK) {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	at := slices.SortedFunc(maps.Values(begun), time.Time.Compare)
	if len(at) != maxRounds || at[1].Sub(at[0]) < time.Second/2 || at[2].Sub(at[1]) < time.Second {
		t.Errorf("discovery at %v", at)
	}
}

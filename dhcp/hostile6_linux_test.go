package dhcp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/go-pipework/pipework/internal/dhcptest"
)

// server6 answers on the network as answer says, until the test ends.
func server6(t *testing.T, answer func(m *dhcpv6.Message) [][]byte) {
	t.Helper()
	lan, err := net.InterfaceByName(dhcptest.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenMulticastUDP("udp6", lan, net.UDPAddrFromAddrPort(servers6))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-ended })
	go func() {
		defer close(ended)
		b := make([]byte, maxDatagram)
		for {
			n, from, err := conn.ReadFromUDP(b)
			if err != nil {
				return
			}
			m, err := dhcpv6.MessageFromBytes(b[:n])
			if err != nil {
				t.Errorf("the client sent %x: %v", b[:n], err)
				return
			}
			for _, a := range answer(m) {
				if _, err := conn.WriteToUDP(a, from); err != nil && !errors.Is(err, net.ErrClosed) { // closed as the test ends
					t.Error(err)
				}
			}
		}
	}()
}

// to makes m an answer to what q asked.
func to(q, m *dhcpv6.Message) []byte {
	m.TransactionID = q.TransactionID
	return m.ToBytes()
}

// hostile is everything that must not be taken for an answer to q.
func hostile(q *dhcpv6.Message, kind dhcpv6.MessageType) (all [][]byte) {
	for _, change := range unbelievable6 {
		all = append(all, to(q, answer6(kind, 0, 0, one6, change)))
	}
	right := to(q, answer6(kind, 0, 0, one6))
	all = append(all, nil, []byte("x"), right[:len(right)-3], make([]byte, maxDatagram-100),
		answer6(kind, 0, 0, []iaaddr{{"fd66::6", 60, 100}}).ToBytes(), // of another transaction
		to(q, answer6(kind, 0, 0, []iaaddr{{"ff02::6", 60, 100}})))
	if kind == dhcpv6.MessageTypeAdvertise { // and what was not asked for
		return append(all, to(q, answer6(dhcpv6.MessageTypeReply, 0, 0, one6)))
	}
	return append(all, to(q, answer6(dhcpv6.MessageTypeAdvertise, 0, 0, one6)),
		to(q, answer6(kind, 0, 0, one6, func(m *dhcpv6.Message, _ *dhcpv6.OptIANA) {
			m.UpdateOption(generic(dhcpv6.OptionServerID, "\x00\x02thief"))
		})),
		to(q, answer6(kind, 0, 0, one6, func(m *dhcpv6.Message, _ *dhcpv6.OptIANA) {
			m.AddOption(&dhcpv6.OptStatusCode{StatusCode: iana.StatusUnspecFail, StatusMessage: "not\x1b[31m now"})
		})))
}

// hostileGuest waits for an answer far longer than a busy machine stalls.
func hostileGuest(t *testing.T) *Client {
	t.Helper()
	dhcptest.Network(t)
	c, _ := guest6(t)
	c.DUID, c.IAID = me.duid, me.iaid
	c.Timeout, c.Tries = 2*time.Second, 3
	return c
}

// TestHostile6 gets the right answer behind all the wrong ones.
func TestHostile6(t *testing.T) {
	c := hostileGuest(t)
	server6(t, func(q *dhcpv6.Message) [][]byte {
		kind := dhcpv6.MessageTypeReply
		if q.MessageType == dhcpv6.MessageTypeSolicit {
			kind = dhcpv6.MessageTypeAdvertise
		}
		return append(hostile(q, kind), to(q, answer6(kind, 0, 0, one6)))
	})
	l := acquire(t, c, nil)
	if l.Addr.Addr() != netip.MustParseAddr("fd77::5") || string(l.ServerID) != "\x00\x02server" {
		t.Errorf("lease %+v", l)
	}
	if _, err := c.Renew(t.Context(), l); err != nil {
		t.Error(err)
	}
	if err := c.Release(t.Context(), l); err != nil {
		t.Error(err)
	}
}

// TestOnlyHostile6 ends in time, and says what came.
func TestOnlyHostile6(t *testing.T) {
	c := hostileGuest(t)
	c.Timeout, c.Tries = time.Second, 2 // which it waits in vain
	server6(t, func(q *dhcpv6.Message) [][]byte {
		if q.MessageType == dhcpv6.MessageTypeSolicit {
			return [][]byte{to(q, answer6(dhcpv6.MessageTypeAdvertise, 0, 0, one6))}
		}
		return hostile(q, dhcpv6.MessageTypeReply)
	})
	_, err := c.Acquire(t.Context(), nil)
	if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), `what came was refused: the server failed (UnspecFail: "not[31m now")`) {
		t.Error(err)
	}
}

// TestStatus6 has servers that refuse.
func TestStatus6(t *testing.T) {
	for _, test := range []struct {
		status     iana.StatusCode
		new, renew error
	}{
		{iana.StatusNotOnLink, ErrNAK, ErrNAK},
		{iana.StatusNoAddrsAvail, ErrNoAddrs, ErrNoAddrs},
		{iana.StatusNoBinding, nil, nil}, // said to a renewal, which then becomes a request
	} {
		t.Run(test.status.String(), func(t *testing.T) {
			c := hostileGuest(t)
			server6(t, func(q *dhcpv6.Message) [][]byte {
				kind := dhcpv6.MessageTypeReply
				if q.MessageType == dhcpv6.MessageTypeSolicit {
					kind = dhcpv6.MessageTypeAdvertise
				}
				if q.MessageType == dhcpv6.MessageTypeSolicit || q.MessageType == dhcpv6.MessageTypeRequest && test.new == nil {
					return [][]byte{to(q, answer6(kind, 0, 0, one6))}
				}
				return [][]byte{to(q, answer6(kind, 0, 0, nil, func(_ *dhcpv6.Message, ia *dhcpv6.OptIANA) {
					ia.Options.Add(&dhcpv6.OptStatusCode{StatusCode: test.status})
				}))}
			})
			if _, err := c.Acquire(t.Context(), nil); !errors.Is(err, test.new) {
				t.Errorf("acquire: %v", err)
			}
			l := &Lease{Addr: netip.MustParsePrefix("fd77::5/128"), ServerID: []byte("\x00\x02server")}
			if _, err := c.Renew(t.Context(), l); !errors.Is(err, test.renew) {
				t.Errorf("renew: %v", err)
			}
		})
	}
}

// TestTakenBack6 has a server that ends the lease with lifetimes of 0.
func TestTakenBack6(t *testing.T) {
	c := hostileGuest(t)
	server6(t, func(q *dhcpv6.Message) [][]byte {
		return [][]byte{to(q, answer6(dhcpv6.MessageTypeReply, 0, 0, []iaaddr{{"fd77::5", 0, 0}}))}
	})
	l := &Lease{Addr: netip.MustParsePrefix("fd77::5/128"), ServerID: []byte("\x00\x02server")}
	if _, err := c.Renew(t.Context(), l); !errors.Is(err, ErrNAK) {
		t.Error(err)
	}
}

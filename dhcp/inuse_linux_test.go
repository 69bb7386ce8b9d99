package dhcp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/testwait"
)

// A seeker is a client of a server that offers addresses which others have.
type seeker struct {
	offers    []byte        // the last byte of what each discovery is offered; 0: no answer
	requested byte          // what it asks for, and is offered then
	deadline  time.Duration // 0: none
	cancelled bool          // when it has declined

	said  []string // its messages, without repetitions
	least time.Duration
	gets  string // or, in the error,
	tells []string
	is    error // nil: ErrInUse

	client *Client
	cancel context.CancelFunc
	heard  []string
	given  map[dhcpv4.TransactionID]*dhcpv4.DHCPv4 // the answers to what was heard

	took  time.Duration
	lease *Lease
	err   error
}

// used are the last bytes of addresses that another guest has.
var used = []byte{50, 51, 52}

// answer is the seeker's server, which answers a repeated message as before.
func (s *seeker) answer(t *testing.T, q *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	if given := s.given[q.TransactionID]; given != nil {
		return given
	}
	about, text := q.RequestedIPAddress(), q.MessageType().String()
	if about != nil {
		text += " " + about.String()
	}
	s.heard = append(s.heard, text)
	a := answer4(t, q, dhcpv4.MessageTypeInform) // which no client takes
	switch q.MessageType() {
	case dhcpv4.MessageTypeRequest:
		a = answer4(t, q, dhcpv4.MessageTypeAck, dhcpv4.WithYourIP(about), dhcpv4.WithLeaseTime(600))
	case dhcpv4.MessageTypeDecline:
		if s.cancelled {
			s.cancel()
		}
	case dhcpv4.MessageTypeDiscover:
		if next := s.next(about); next != 0 {
			a = answer4(t, q, dhcpv4.MessageTypeOffer, dhcpv4.WithYourIP(host(next).AsSlice()), dhcpv4.WithLeaseTime(600))
		}
	}
	s.given[q.TransactionID] = a
	return a
}

// next is what a discovery that asks for this address, or nil, is offered.
func (s *seeker) next(about net.IP) byte {
	next := byte(0)
	if len(s.offers) > 0 {
		next, s.offers = s.offers[0], s.offers[1:]
	}
	if wants, _ := netip.AddrFromSlice(about.To4()); wants == host(s.requested) {
		return s.requested
	}
	return next
}

// TestOffersWhatOthersHave has servers offer addresses that another guest has: the client
// declines them, asks for others and not for these, and tells who has them where there is none.
// TestDiscoverWaits says when.
func TestOffersWhatOthersHave(t *testing.T) {
	const has50, has51, has52 = "10.77.0.50 (", "10.77.0.51 (", "10.77.0.52 ("
	first := []string{"DISCOVER", "REQUEST 10.77.0.50", "DECLINE 10.77.0.50"}
	and := func(more ...string) []string { return append(slices.Clone(first), more...) }
	all := map[string]*seeker{
		"another one is free": {offers: []byte{50, 60}, least: DeclineWait, gets: "10.77.0.60/24", said: and("DISCOVER", "REQUEST 10.77.0.60")},
		"the third is free": {offers: []byte{50, 51, 61}, least: 2 * DeclineWait, gets: "10.77.0.61/24",
			said: and("DISCOVER", "REQUEST 10.77.0.51", "DECLINE 10.77.0.51", "DISCOVER", "REQUEST 10.77.0.61")},
		"the same one again": {offers: []byte{50, 50, 50}, least: DeclineWait, tells: []string{has50, "again"}, said: and(first...)},
		"only used ones": {offers: []byte{50, 51, 52}, least: 2 * DeclineWait, tells: []string{has50, has51, has52},
			said: and("DISCOVER", "REQUEST 10.77.0.51", "DECLINE 10.77.0.51", "DISCOVER", "REQUEST 10.77.0.52", "DECLINE 10.77.0.52")},
		"and then none": {offers: []byte{50}, least: DeclineWait, tells: []string{has50, "then no server answered"}, said: and("DISCOVER")},
		"it asks for a used one": {requested: 50, offers: []byte{0, 62}, least: DeclineWait, gets: "10.77.0.62/24",
			said: []string{"DISCOVER 10.77.0.50", "REQUEST 10.77.0.50", "DECLINE 10.77.0.50", "DISCOVER", "REQUEST 10.77.0.62"}},
		"no time to ask again":    {deadline: DeclineWait, offers: []byte{50}, tells: []string{has50, "no time to ask again"}, said: first},
		"cancelled while waiting": {cancelled: true, offers: []byte{50}, tells: []string{has50}, is: context.Canceled, said: first},
	}
	dhcptest.Network(t)
	other, g := guest(t)
	for _, last := range used {
		dhcptest.AddAddr(t, g, netip.PrefixFrom(host(last), 24))
	}
	var mu sync.Mutex
	who := map[string]*seeker{}
	server4(t, func(q *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		mu.Lock()
		defer mu.Unlock()
		return who[q.ClientHWAddr.String()].answer(t, q)
	})
	var seekers sync.WaitGroup
	for _, s := range all {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.client, _ = guest(t)
		mu.Lock()
		s.cancel, s.given = cancel, map[dhcpv4.TransactionID]*dhcpv4.DHCPv4{}
		who[s.client.MAC.String()] = s
		mu.Unlock()
		seekers.Go(func() { s.seek(ctx) }) // all at once: they wait most of the time
	}
	seekers.Wait()
	for name, s := range all {
		testwait.Eventually(t, "the last message of "+name, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(s.heard) >= len(s.said)
		})
		s.check(t, name, other.MAC)
	}
}

// seek gets a lease. The times are far longer than a busy machine stalls.
func (s *seeker) seek(ctx context.Context) {
	c := s.client
	c.Probe, c.Timeout, c.Tries = 3*time.Second, 2*time.Second, 3
	if s.requested != 0 {
		c.Requested = host(s.requested)
	}
	if s.deadline > 0 {
		bounded, cancel := context.WithTimeout(ctx, s.deadline)
		defer cancel()
		ctx = bounded
	}
	begun := time.Now()
	s.lease, s.err = c.Acquire(ctx, nil)
	s.took = time.Since(begun)
}

func (s *seeker) check(t *testing.T, name string, other net.HardwareAddr) {
	t.Helper()
	if !slices.Equal(s.heard, s.said) || s.took < s.least {
		t.Errorf("%s: said %q, within %v", name, s.heard, s.took)
	}
	if s.gets != "" {
		if s.err != nil || s.lease.Addr.String() != s.gets {
			t.Errorf("%s: got %+v, %v", name, s.lease, s.err)
		}
		return
	}
	if !errors.Is(s.err, ErrInUse) || s.is != nil && !errors.Is(s.err, s.is) || errors.Is(s.err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: %v", name, s.err)
		return
	}
	for _, text := range append(s.tells, other.String()+" has it") {
		if !strings.Contains(s.err.Error(), text) {
			t.Errorf("%s: no %q in: %v", name, text, s.err)
		}
	}
}

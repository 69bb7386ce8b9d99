package dhcp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/go-pipework/pipework/internal/dhcptest"
)

// A seeker is a client of a server that offers addresses which others have.
type seeker struct {
	offers    []byte // the last byte of what is offered, one after the other; 0: no answer
	requested byte   // what it asks for, and is offered then
	deadline  time.Duration

	least, most time.Duration // until Acquire returns
	gets        string        // or, in the error,
	tells       []string
	is          error // nil: ErrInUse

	asked []netip.Addr // what each discovery asked for
}

// used are the last bytes of addresses that another guest has.
var used = []byte{50, 51, 52}

func host(last byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, last}) }

// answer is the seeker's server.
func (s *seeker) answer(t *testing.T, q *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	wants, _ := netip.AddrFromSlice(q.RequestedIPAddress().To4())
	silent := answer4(t, q, dhcpv4.MessageTypeInform)
	switch q.MessageType() {
	case dhcpv4.MessageTypeRequest:
		return answer4(t, q, dhcpv4.MessageTypeAck, dhcpv4.WithYourIP(q.RequestedIPAddress()), dhcpv4.WithLeaseTime(600))
	case dhcpv4.MessageTypeDiscover:
		next := byte(0)
		if len(s.offers) > 0 {
			next, s.offers = s.offers[0], s.offers[1:]
		}
		s.asked = append(s.asked, wants)
		if wants == host(s.requested) {
			next = s.requested
		}
		if next != 0 {
			return answer4(t, q, dhcpv4.MessageTypeOffer, dhcpv4.WithYourIP(host(next).AsSlice()), dhcpv4.WithLeaseTime(600))
		}
	}
	return silent
}

// TestOffersWhatOthersHave has servers offer addresses that another guest has: the client has
// a free one as soon as it may ask for it, and tells soon who has them where there is none.
func TestOffersWhatOthersHave(t *testing.T) {
	all := map[string]*seeker{
		"another one is free":     {offers: []byte{50, 60}, least: DeclineWait, most: DeclineWait + 5*time.Second, gets: "10.77.0.60/24"},
		"the third is free":       {offers: []byte{50, 51, 61}, least: 2 * DeclineWait, most: 2*DeclineWait + 5*time.Second, gets: "10.77.0.61/24"},
		"the same one again":      {offers: []byte{50, 50, 50}, least: DeclineWait, most: DeclineWait + 5*time.Second, tells: []string{"10.77.0.50 (", "again"}},
		"only used ones":          {offers: []byte{50, 51, 52}, least: 2 * DeclineWait, most: 2*DeclineWait + 5*time.Second, tells: []string{"10.77.0.50 (", "10.77.0.51 (", "10.77.0.52 ("}},
		"and then none":           {offers: []byte{50}, least: DeclineWait, most: DeclineWait + 5*time.Second, tells: []string{"10.77.0.50 (", "then no server answered"}},
		"it asks for a used one":  {requested: 50, offers: []byte{0, 62}, least: DeclineWait, most: DeclineWait + 5*time.Second, gets: "10.77.0.62/24"},
		"no time to ask again":    {deadline: 8 * time.Second, offers: []byte{50}, most: 4 * time.Second, tells: []string{"10.77.0.50 (", "no time to ask again"}},
		"cancelled while waiting": {deadline: -3 * time.Second, offers: []byte{50}, least: 3 * time.Second, most: 8 * time.Second, tells: []string{"10.77.0.50 ("}, is: context.Canceled},
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
	defer seekers.Wait()
	for name, s := range all {
		c, _ := guest(t)
		mu.Lock()
		who[c.MAC.String()] = s
		mu.Unlock()
		seekers.Go(func() { s.seek(t, name, c, other.MAC) }) // all at once: they wait most of the time
	}
}

func (s *seeker) seek(t *testing.T, name string, c *Client, other net.HardwareAddr) {
	c.Probe, c.Timeout, c.Tries = 500*time.Millisecond, 200*time.Millisecond, 3
	if s.requested != 0 {
		c.Requested = host(s.requested)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	switch {
	case s.deadline > 0:
		ctx, cancel = context.WithTimeout(ctx, s.deadline)
		defer cancel()
	case s.deadline < 0:
		defer time.AfterFunc(-s.deadline, cancel).Stop()
	}
	begun := time.Now()
	l, err := c.Acquire(ctx, nil)
	if took := time.Since(begun); took < s.least || took > s.most {
		t.Errorf("%s: after %v, %v", name, took, err)
	}
	if s.gets != "" {
		if err != nil || l.Addr.String() != s.gets {
			t.Errorf("%s: got %+v, %v", name, l, err)
		}
		return
	}
	if !errors.Is(err, ErrInUse) || s.is != nil && !errors.Is(err, s.is) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: %v", name, err)
	}
	for _, text := range append(s.tells, other.String()+" has it") {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: no %q in: %v", name, text, err)
		}
	}
}

package dhcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/go-pipework/pipework/internal/errs"
)

// A reply6 is what one message of a DHCPv6 server says.
type reply6 struct {
	kind      dhcpv6.MessageType
	server    []byte // its DUID
	rapid     bool
	status    iana.StatusCode // of the message, or else of our IA
	words     string          // that go with it
	lease     *Lease          // nil where no address is granted
	mentioned []netip.Addr    // in our IA, also those that are taken back
}

// why is the status for people.
func (r *reply6) why() string {
	if r.words == "" {
		return r.status.String()
	}
	return fmt.Sprintf("%s: %q", r.status, printable(r.words))
}

// granted says why r grants no lease; nil when it does.
func (r *reply6) granted() error {
	switch {
	case r.status == iana.StatusNoAddrsAvail:
		return errs.New(ErrNoAddrs, "dhcp: the server has no address to give (%s)", r.why())
	case r.status == iana.StatusNotOnLink, r.status == iana.StatusNoBinding:
		return errs.New(ErrNAK, "dhcp: the server refused (%s)", r.why())
	case r.status != iana.StatusSuccess:
		return fmt.Errorf("dhcp: the server failed (%s)", r.why())
	case r.lease == nil:
		return errors.New("dhcp: no address in it")
	}
	return nil
}

// parse6 reads a message to the client id that answers one sent at the time sent.
// What makes the whole message unbelievable is an error; an address or option that
// is malformed is left out.
func parse6(b []byte, id identity6, sent time.Time) (*reply6, error) {
	m, err := dhcpv6.MessageFromBytes(b)
	if err != nil {
		return nil, err
	}
	if m.MessageType != dhcpv6.MessageTypeAdvertise && m.MessageType != dhcpv6.MessageTypeReply {
		return nil, fmt.Errorf("a message of type %v", m.MessageType)
	}
	client, server := m.Options.ClientID(), m.Options.ServerID()
	if client == nil || !bytes.Equal(client.ToBytes(), id.duid) {
		return nil, errors.New("it is for another client")
	}
	if server == nil || len(server.ToBytes()) < 3 || len(server.ToBytes()) > 130 {
		return nil, errors.New("it does not say which server sent it")
	}
	r := &reply6{kind: m.MessageType, server: server.ToBytes(), rapid: m.GetOneOption(dhcpv6.OptionRapidCommit) != nil}
	r.take(m.Options.Status())
	for _, ia := range m.Options.IANA() {
		if binary.BigEndian.Uint32(ia.IaId[:]) == id.iaid {
			if err := r.parseIA(ia, sent); err != nil {
				return nil, err
			}
			break
		}
	}
	if r.lease != nil {
		r.lease.ServerID, r.lease.ClientID, r.lease.IAID = r.server, id.duid, id.iaid
		r.parseOptions(m)
	}
	return r, nil
}

// take notes a status, unless it is success or there is one already.
func (r *reply6) take(s *dhcpv6.OptStatusCode) {
	if s != nil && r.status == iana.StatusSuccess {
		r.status, r.words = s.StatusCode, s.StatusMessage
	}
}

// parseIA reads what the server says of the client's addresses. A status other
// than success makes of addresses beside it nothing.
func (r *reply6) parseIA(ia *dhcpv6.OptIANA, sent time.Time) error {
	r.take(ia.Options.Status())
	if ia.T1 > ia.T2 && ia.T2 > 0 {
		return fmt.Errorf("T1 of %v after T2 of %v", ia.T1, ia.T2)
	}
	var held []Leased
	preferred, valid, longest := forever, forever, time.Duration(0) // the shortest, and the longest valid
	for _, o := range ia.Options.Addresses() {
		a := fromIP(o.IPv6Addr)
		if !hostAddr6(a) || o.PreferredLifetime > o.ValidLifetime || slices.Contains(r.mentioned, a) || len(r.mentioned) == maxList {
			continue
		}
		r.mentioned = append(r.mentioned, a)
		if s := o.Options.Status(); o.ValidLifetime == 0 || s != nil && s.StatusCode != iana.StatusSuccess {
			continue
		}
		held = append(held, Leased{Addr: a, Preferred: after(sent, o.PreferredLifetime), Valid: after(sent, o.ValidLifetime)})
		life := o.PreferredLifetime
		if life == 0 {
			life = o.ValidLifetime
		}
		preferred, valid, longest = min(preferred, life), min(valid, o.ValidLifetime), max(longest, o.ValidLifetime)
	}
	if len(held) == 0 || r.status != iana.StatusSuccess {
		return nil
	}
	t1, t2 := times6(longest, valid, preferred, ia.T1, ia.T2)
	r.lease = &Lease{Renew: after(sent, t1), Rebind: after(sent, t2)}
	r.lease.hold(held)
	return nil
}

// after is when so much time has passed; zero for never.
func after(sent time.Time, d time.Duration) time.Time {
	if d >= forever {
		return time.Time{}
	}
	return sent.Add(d)
}

func (r *reply6) parseOptions(m *dhcpv6.Message) {
	l := r.lease
	l.DNS = hosts6(m.Options.DNS(), l)
	l.NTP = hosts6(append(m.Options.NTPServers(), m.Options.SNTP()...), l)
	labels := m.Options.DomainSearchList()
	if labels == nil {
		return
	}
	for _, name := range labels.Labels {
		if validDomain(name) && len(l.Search) < maxList {
			l.Search = append(l.Search, name)
		}
	}
}

// hosts6 leaves out what cannot be a host other than the client. Link-local
// addresses mean nothing without their interface, which files cannot name.
func hosts6(ips []net.IP, own *Lease) (list []netip.Addr) {
	for _, ip := range ips {
		a := fromIP(ip)
		if hostAddr6(a) && !own.Has(a) && !slices.Contains(list, a) && len(list) < maxList {
			list = append(list, a)
		}
	}
	return list
}

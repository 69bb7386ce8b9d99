package dhcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/go-pipework/pipework/internal/errs"
)

// fewTries is how often is asked where no answer is no great loss.
const fewTries = 3

func (c *Client) acquire6(ctx context.Context, last *Lease) (*Lease, error) {
	x, err := c.exchange6(ctx, last)
	if err != nil {
		return nil, err
	}
	defer x.close()
	ctx, cancel := c.limited(ctx)
	defer cancel()
	hint := []netip.Addr{}
	if c.Requested.Is6() {
		hint = append(hint, c.Requested)
	}
	if last != nil && hostAddr6(last.Addr.Addr()) {
		l, err := x.extend(ctx, last, dhcpv6.MessageTypeRebind, min(fewTries, c.tries()))
		if err == nil || !errors.Is(err, ErrNAK) && !errors.Is(err, ErrNoAddrs) && !errors.Is(err, os.ErrDeadlineExceeded) {
			return l, err
		}
		hint = last.addrs()
	}
	return x.discover(ctx, hint)
}

// discover solicits, and requests what was offered.
func (x *exchange6) discover(ctx context.Context, hint []netip.Addr) (*Lease, error) {
	var h history
	for range maxRounds {
		if err := h.rest(ctx); err != nil {
			return nil, h.with(err)
		}
		offer, err := x.solicit(ctx, hint)
		if err != nil {
			return nil, h.with(err)
		}
		if offer.kind == dhcpv6.MessageTypeReply {
			return offer.lease, nil
		}
		l, err := x.request(ctx, offer.server, addrs6(offer.lease.Addrs))
		if err == nil {
			return l, nil
		}
		if !h.failed(err) {
			return nil, h.with(err)
		}
	}
	return nil, h.before
}

// solicit takes the first offer of an address (RFC 8415 section 18.2.1), or what
// was granted by rapid commit.
func (x *exchange6) solicit(ctx context.Context, hint []netip.Addr) (*reply6, error) {
	m, err := x.message6(dhcpv6.MessageTypeSolicit, x.id, nil, hint)
	if err != nil {
		return nil, fmt.Errorf("dhcp: %w", err)
	}
	return x.ask(ctx, m, x.tries(), func(r *reply6) error {
		if r.kind == dhcpv6.MessageTypeReply && (!r.rapid || !x.RapidCommit) {
			return errors.New("a reply to what was not requested")
		}
		return r.granted()
	})
}

// request asks one server for addresses.
func (x *exchange6) request(ctx context.Context, server []byte, addrs []netip.Addr) (*Lease, error) {
	m, err := x.message6(dhcpv6.MessageTypeRequest, x.id, server, addrs)
	if err != nil {
		return nil, fmt.Errorf("dhcp: %w", err)
	}
	r, err := x.ask(ctx, m, x.tries(), replyFrom(server))
	if err != nil {
		return nil, err
	}
	return r.lease, r.granted()
}

// replyFrom takes a reply of this server that says anything of the addresses.
func replyFrom(server []byte) func(*reply6) error {
	return func(r *reply6) error {
		switch {
		case r.kind != dhcpv6.MessageTypeReply:
			return fmt.Errorf("a message of type %v", r.kind)
		case server != nil && !bytes.Equal(server, r.server):
			return errors.New("it is from another server")
		case r.status == iana.StatusSuccess && len(r.mentioned) == 0:
			return errors.New("neither an address nor a reason in it")
		case r.status == iana.StatusUnspecFail || r.status == iana.StatusUseMulticast:
			return fmt.Errorf("the server failed (%s)", r.why()) // to be asked again: RFC 8415, 18.2.10
		}
		return nil
	}
}

func (c *Client) extend6(ctx context.Context, l *Lease, kind dhcpv6.MessageType) (*Lease, error) {
	x, err := c.exchange6(ctx, l)
	if err != nil {
		return nil, err
	}
	defer x.close()
	return x.extend(ctx, l, kind, c.tries())
}

// extend renews or rebinds. A server that does not know the lease, because it has
// lost its memory or is another, is asked for the addresses as if they were new
// (RFC 8415 section 18.2.10.1).
func (x *exchange6) extend(ctx context.Context, l *Lease, kind dhcpv6.MessageType, tries int) (*Lease, error) {
	server := l.ServerID
	if kind == dhcpv6.MessageTypeRebind || server == nil {
		kind, server = dhcpv6.MessageTypeRebind, nil
	}
	m, err := x.message6(kind, x.id, server, l.addrs())
	if err != nil {
		return nil, fmt.Errorf("dhcp: %w", err)
	}
	r, err := x.ask(ctx, m, tries, replyFrom(server))
	if err != nil {
		return nil, err
	}
	if r.status == iana.StatusNoBinding {
		return x.request(ctx, r.server, l.addrs())
	}
	if r.status == iana.StatusSuccess && r.lease == nil {
		return nil, errs.New(ErrNAK, "dhcp: the server took %s back", l.Addr.Addr())
	}
	if err := r.granted(); err != nil {
		return nil, err
	}
	r.lease.keeping(l, r.mentioned, time.Now())
	return r.lease, nil
}

// addrs are all the lease's addresses, also where only the first is known.
func (l *Lease) addrs() []netip.Addr {
	if len(l.Addrs) == 0 {
		return []netip.Addr{l.Addr.Addr()}
	}
	return addrs6(l.Addrs)
}

// end6 releases or declines.
func (c *Client) end6(ctx context.Context, l *Lease, kind dhcpv6.MessageType) error {
	x, err := c.exchange6(ctx, l)
	if err != nil {
		return err
	}
	defer x.close()
	tries := min(fewTries, c.tries())
	server := l.ServerID
	if server == nil {
		known, err := x.extend(ctx, l, dhcpv6.MessageTypeRebind, tries)
		if err != nil {
			return err
		}
		server = known.ServerID
	}
	m, err := x.message6(kind, x.id, server, l.addrs())
	if err != nil {
		return fmt.Errorf("dhcp: %w", err)
	}
	_, err = x.ask(ctx, m, tries, func(r *reply6) error {
		if r.kind != dhcpv6.MessageTypeReply || !bytes.Equal(server, r.server) {
			return errors.New("it is from another server")
		}
		return nil // whatever the status: there is nothing more to be done
	})
	return err
}

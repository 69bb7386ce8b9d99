package uplink

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/announce"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/internal/rtnl"
)

const (
	// probeTime is how long a probe is tried where nothing else says.
	probeTime = 10 * time.Second
	// tryTime bounds one try.
	tryTime = 2 * time.Second
	// answerTime is how long one answer to ARP is waited for.
	answerTime = 300 * time.Millisecond
)

// A probe is what Plan.Probe says.
type probe struct {
	kind string     // gateway, arp or tcp; "" is none
	addr netip.Addr // of arp
	host string     // of tcp, and its port
}

func parseProbe(text string) (p probe, err error) {
	kind, rest, _ := strings.Cut(text, ":")
	p = probe{kind: kind, host: rest}
	switch {
	case text == "", text == "gateway":
		return p, nil
	case kind == "arp":
		if p.addr, err = netip.ParseAddr(rest); err == nil && p.addr.Is4() {
			return p, nil
		}
	case kind == "tcp":
		if host, port, err := net.SplitHostPort(rest); err == nil && host != "" && port != "" {
			return p, nil
		}
	}
	return p, fmt.Errorf("probe %q is unknown: write gateway, arp:192.168.1.1 or tcp:192.168.1.1:22", text)
}

// probe tries what is to be reached until it is.
func (j *job) probe(ctx context.Context, br *rtnl.Link) error {
	p, err := parseProbe(j.Probe)
	if p.kind == "" || err != nil {
		return err
	}
	most := j.Confirm
	if most == 0 {
		most = probeTime
	}
	for end := time.Now().Add(most); ; {
		if err := fault.Step(ctx, "probe"); err != nil {
			return err
		}
		failed := j.try(ctx, p, br)
		if failed == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s is not reached by %s: %w", j.Probe, j.Bridge, failed)
		}
		if err := pause.For(ctx, answerTime); err != nil {
			return err
		}
	}
}

// try tries once.
func (j *job) try(ctx context.Context, p probe, br *rtnl.Link) (err error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	switch p.kind {
	case "tcp":
		return j.connect(ctx, p.host)
	case "gateway":
		if p.addr, err = j.gateway(ctx, br); err != nil {
			return err
		}
	}
	var s *announce.Sender
	if err := j.do(ctx, func() error { s = announce.Open(); return nil }); err != nil {
		return err
	}
	defer s.Close()
	answers, err := s.Answers(ctx, j.port(br), p.addr, answerTime)
	if err == nil && !answers {
		err = fmt.Errorf("%s does not answer", p.addr)
	}
	return err
}

// gateway is the router of the bridge's default route.
func (m mover) gateway(ctx context.Context, br *rtnl.Link) (netip.Addr, error) {
	all, err := rtnl.Defaults(ctx, m.host.Conn, unix.AF_INET, unix.RT_TABLE_MAIN)
	for _, r := range all {
		for _, h := range r.Hops() {
			if h.Index == br.Index && h.Gateway.Is4() {
				return h.Gateway, nil
			}
		}
	}
	if err == nil {
		err = fmt.Errorf("%s has no default route of IPv4: probe arp:ADDRESS or tcp:HOST:PORT", br.Name)
	}
	return netip.Addr{}, err
}

// connect makes a connection, and ends it.
func (m mover) connect(ctx context.Context, to string) error {
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		return err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for _, a := range addrs {
		err = m.do(ctx, func() error { // of one address, so that it stays on this thread
			c, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(a.Unmap().String(), port))
			if err == nil {
				_ = c.Close()
			}
			return err
		})
		if err == nil {
			return nil
		}
	}
	return err
}

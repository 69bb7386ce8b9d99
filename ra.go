//go:build linux

package pipework

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

const (
	// slaacTime bounds the wait for an address from a router advertisement: the
	// kernel asks for one three times, four seconds apart (RFC 4861, 6.3.7).
	slaacTime = 14 * time.Second
	// routerTime bounds the wait for a default route beside a DHCPv6 address. Routers
	// answer within half a second; the kernel asked them before we asked the server.
	routerTime = 2 * time.Second
	// askTime is when they are asked again, should the first time have been in vain.
	askTime = routerTime / 4
)

// acceptRA lets the kernel follow router advertisements on the interface, where
// the Spec needs them: IPv6 on, accept_ra, and autoconf for SLAAC. A gateway of
// the Spec's own comes before an advertised one. These settings are the
// interface's alone, and go away with it when it leaves the guest.
func (j *job) acceptRA(ctx context.Context, name string) error {
	if !j.spec.advertised() {
		return nil
	}
	forwarding, err := j.sysctl(ctx, name, "forwarding")
	if err != nil {
		return err
	}
	accept := "1"
	if forwarding != "0" {
		accept = "2" // a router follows none, unless told so
	}
	settings := [][2]string{{"disable_ipv6", "0"}, {"accept_ra", accept}}
	if j.spec.SLAAC {
		settings = append(settings, [2]string{"autoconf", "1"})
	}
	if j.ownGateway(netip.Addr.Is6) {
		settings = append(settings, [2]string{"accept_ra_defrtr", "0"})
	}
	for _, s := range settings {
		if err := j.setSysctl(ctx, name, s[0], s[1]); err != nil {
			return err
		}
	}
	return nil
}

func sysctlPath(name, key string) string { return "/proc/sys/net/ipv6/conf/" + name + "/" + key }

func (j *job) sysctl(ctx context.Context, name, key string) (value string, err error) {
	err = j.guest.Do(ctx, func() error {
		b, err := os.ReadFile(sysctlPath(name, key))
		value = strings.TrimSpace(string(b))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = errs.New(errors.ErrUnsupported, "%s has no IPv6: the kernel lacks it, or the MTU is below the 1280 bytes that it needs", name)
	}
	return value, err
}

// setSysctl sets one of the interface's settings, unless it is set, or is more
// than was asked for (accept_ra is 2).
func (j *job) setSysctl(ctx context.Context, name, key, value string) error {
	before, err := j.sysctl(ctx, name, key)
	if err != nil || before == value || key == "accept_ra" && before == "2" {
		return err
	}
	write := func(ctx context.Context, value string) error {
		return j.guest.Do(ctx, func() error {
			if err := fault.Step(ctx, "sysctl "+key); err != nil {
				return err
			}
			return os.WriteFile(sysctlPath(name, key), []byte(value), 0)
		})
	}
	err = write(ctx, value)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		return errs.New(fs.ErrPermission, "%s cannot be set to %s: /proc/sys must be writable", sysctlPath(name, key), value)
	}
	if err != nil {
		return err
	}
	j.undo.Push("sysctl "+key, func(ctx context.Context) error {
		if err := write(ctx, before); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	return nil
}

// awaitRouters waits for what router advertisements bring: addresses where the
// Spec asks for SLAAC, and a default route. The lack of a route is only a warning.
func (j *job) awaitRouters(ctx context.Context, l *rtnl.Link) (addrs []netip.Prefix, gateways []netip.Addr, err error) {
	if j.spec.SLAAC {
		j.log(ctx, "await SLAAC")
		none := errs.New(os.ErrDeadlineExceeded, "no router has advertised addresses on %s within %v: is there one, and does it advertise a prefix for SLAAC?", l.Name, slaacTime)
		bounded, cancel := context.WithTimeoutCause(ctx, slaacTime, none)
		defer cancel()
		if addrs, err = dhcp.AwaitSLAAC(bounded, j.guest.Handle, l.Index); err != nil {
			return nil, nil, err
		}
	}
	if j.ownGateway(netip.Addr.Is6) {
		return addrs, nil, nil
	}
	gateways, err = j.awaitDefault(ctx, l)
	if err == nil && len(gateways) == 0 {
		j.port.Warn("no router has advertised a default route on %s within %v: only what other IPv6 routes lead to can be reached", l.Name, routerTime)
	}
	return addrs, gateways, err
}

// awaitDefault waits until the kernel has a default route through the interface.
func (j *job) awaitDefault(ctx context.Context, l *rtnl.Link) (gateways []netip.Addr, err error) {
	events, err := rtnl.Listen(ctx, j.guest.Handle)
	if err != nil {
		return nil, err
	}
	defer events.Close()
	for _, wait := range [...]time.Duration{askTime, routerTime - askTime} {
		bounded, cancel := context.WithTimeout(ctx, wait)
		err = events.Until(bounded, func() (bool, error) {
			routes, err := rtnl.Defaults(bounded, j.port.Conn, unix.AF_INET6, unix.RT_TABLE_MAIN)
			for _, r := range routes {
				if r.Index == l.Index && r.Gateway.IsValid() && !slices.Contains(gateways, r.Gateway) {
					gateways = append(gateways, r.Gateway)
				}
			}
			return len(gateways) > 0, err
		})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return gateways, err
		}
		if wait == askTime {
			if err := link.SolicitRouters(ctx, &j.port); err != nil {
				j.log(ctx, "solicit routers", "error", err)
			}
		}
	}
	return nil, nil
}

//go:build linux

package pipework_test

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// A learner is a guest in which the kernel follows routers, and a router on its eth0.
type learner struct {
	router
	ns.Named
	news int // prefixes that the router advertised once
}

func newLearner(t *testing.T) *learner {
	t.Helper()
	target, g := nstest.Guest(t)
	ip(t, g, "ip", "link", "set", "lo", "up")
	return &learner{router: newRouter(t, g, target), Named: target}
}

// hears has the kernel learn a default route, and returns the state after that.
func (l *learner) hears() (state string) {
	l.Helper()
	l.advertise("fd01::", 31*time.Minute)
	testwait.Eventually(l, "the address has its route", func() bool {
		state = l.state()
		return strings.Contains(state, "local fd01::")
	})
	if !strings.Contains(state, "proto ra") {
		l.Fatalf("state %s", state)
	}
	return state
}

// run runs a command in the guest.
func (l *learner) run(command string) string {
	l.Helper()
	return ip(l.T, l.of, strings.Fields(command)...)
}

var passing = regexp.MustCompile(`(?m) (expires|hoplimit) \d+(sec)?|^.*fda0:.*\n`)

// state is all routes of the guest, and how its interfaces follow routers.
func (l *learner) state() string {
	l.Helper()
	text := l.run("ip -d route show table all") + // of both families
		l.run("grep -r . /proc/sys/net/ipv6/conf --include=accept_ra --include=accept_ra_defrtr")
	return passing.ReplaceAllString(text, "")
}

// same fails the test unless the state is as it was, once the router has advertised itself.
func (l *learner) same(before string) {
	l.Helper()
	after := ""
	for end := time.Now().Add(testwait.Patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		l.advertise("fd01::", 31*time.Minute)
		if after = l.state(); after == before {
			return
		}
	}
	l.Errorf("-before +after:\n%s", cmp.Diff(before, after))
}

// defrtr is whether the kernel learns default routes on the interface.
func (l *learner) defrtr(name string) string {
	return strings.TrimSpace(l.run("cat /proc/sys/net/ipv6/conf/" + name + "/accept_ra_defrtr"))
}

// advertiseNew has the guest see advertisements: the second is dealt with after the first.
func (l *learner) advertiseNew() {
	l.Helper()
	for range 2 {
		l.news++
		l.advertise(fmt.Sprintf("fda0:%x::", l.news), 31*time.Minute)
	}
}

// only has the default route via this gateway be the only one, whatever is advertised, and
// all be as declared.
func (l *learner) only(gateway string, specs ...pipework.Spec) {
	l.Helper()
	l.advertiseNew()
	if got := l.defaults(); strings.Count(got, "via") != 1 || !strings.Contains(got, "via "+gateway+" ") {
		l.Errorf("routes with the gateway %s: %s", gateway, got)
	}
	for _, s := range specs {
		if at, err := pipework.Check(l.Context(), l.Named, s); err != nil || len(at.Drifts) > 0 {
			l.Errorf("check of %s: %+v, %v", s.Name, at, err)
		}
	}
}

// TestLearnsAgain has the kernel learn default routes again once no gateway is there, whatever
// happened meanwhile; until then the gateway's is the only one.
func TestLearnsAgain(t *testing.T) {
	one, two := spec("eth1", "br1", "fd09::2/64", "fd09::1"), spec("eth2", "br2", "fd08::2/64", "fd08::1")
	plain := spec("eth2", "br2", "fd08::2/64")
	flap := func(l *learner) {
		l.run("ip link set eth0 down")
		l.run("ip link set eth0 up")
	}
	for name, do := range map[string]func(l *learner){
		"a flap": func(l *learner) {
			attach(l.T, l.Named, one)
			flap(l)
			l.only("fd09::1", one)
			detach(l.T, l.Named, one)
		},
		"lo down": func(l *learner) {
			attach(l.T, l.Named, one)
			flap(l)
			l.run("ip link set lo down")
			l.run("ip link set lo up")
			detach(l.T, l.Named, one)
		},
		"a flap, and two gateways": func(l *learner) {
			attach(l.T, l.Named, one)
			attach(l.T, l.Named, two)
			flap(l)
			l.only("fd08::1", one, two)
			detach(l.T, l.Named, two)
			l.only("fd09::1", one)
			detach(l.T, l.Named, one)
		},
		"a flap, and the lower one goes": func(l *learner) {
			attach(l.T, l.Named, one)
			attach(l.T, l.Named, two)
			flap(l)
			detach(l.T, l.Named, one)
			l.only("fd08::1", two)
			detach(l.T, l.Named, two)
		},
		"a flap, and one goes beneath": func(l *learner) {
			attach(l.T, l.Named, two)
			flap(l)
			s := one
			s.Beneath = []string{"eth2"}
			attach(l.T, l.Named, s)
			l.only("fd08::1", one, two)
			detach(l.T, l.Named, two)
			l.only("fd09::1", one)
			detach(l.T, l.Named, one)
		},
		"a flap, and the top one is gone": func(l *learner) {
			attach(l.T, l.Named, one)
			at := attach(l.T, l.Named, two)
			flap(l)
			nstest.DelLink(l.T, at.HostName)
			attach(l.T, l.Named, one)
			l.only("fd09::1", one)
			detach(l.T, l.Named, two)
			l.only("fd09::1", one)
			detach(l.T, l.Named, one)
		},
		"a flap, and the only one is gone": func(l *learner) {
			at := attach(l.T, l.Named, one)
			flap(l)
			nstest.DelLink(l.T, at.HostName)
			detach(l.T, l.Named, one)
		},
		"a flap, and another interface is detached": func(l *learner) {
			attach(l.T, l.Named, one)
			flap(l)
			attach(l.T, l.Named, plain)
			detach(l.T, l.Named, plain)
			l.only("fd09::1", one)
			detach(l.T, l.Named, one)
		},
		"a flap, and an update without gateway": func(l *learner) {
			attach(l.T, l.Named, one)
			flap(l)
			s := one
			s.Gateways = nil
			update(l.T, l.Named, s)
			if got := l.defrtr("eth0") + l.defrtr("eth1"); got != "11" {
				l.Errorf("accept_ra_defrtr of eth0 and eth1: %s", got)
			}
			detach(l.T, l.Named, s)
		},
		"two flaps, and an update without gateway": func(l *learner) {
			attach(l.T, l.Named, one)
			flap(l)
			l.run("ip link set eth1 down")
			s := one
			s.Gateways = nil
			update(l.T, l.Named, s)
			if got := l.defrtr("eth0"); got != "1" {
				l.Errorf("accept_ra_defrtr %s", got)
			}
			detach(l.T, l.Named, s)
		},
		"an earlier version attached": func(l *learner) {
			attach(l.T, l.Named, one)
			l.run("ip route flush table 2147483648")
			detach(l.T, l.Named, one)
		},
		"an earlier version attached, and another gateway comes": func(l *learner) {
			attach(l.T, l.Named, one)
			l.run("ip route flush table 2147483648")
			attach(l.T, l.Named, two)
			detach(l.T, l.Named, one)
			l.only("fd08::1", two)
			detach(l.T, l.Named, two)
		},
		"the guest learns again": func(l *learner) {
			attach(l.T, l.Named, one)
			l.run("sysctl -qw net.ipv6.conf.eth0.accept_ra_defrtr=1")
			l.advertiseNew()
			if at, err := pipework.Check(l.Context(), l.Named, one); err != nil || len(at.Drifts) != 1 {
				l.Errorf("check: %+v, %v", at, err)
			}
			if at := attach(l.T, l.Named, one); len(at.Mended) != 1 {
				l.Errorf("mended %q", at.Mended)
			}
			l.only("fd09::1", one)
			detach(l.T, l.Named, one)
		},
		"the guest writes notes": func(l *learner) {
			attach(l.T, l.Named, one)
			l.run("ip route add blackhole default table 2147483648 metric 4000000000 proto 112 reordering 1886846976")
			l.run("ip route add blackhole default table 2147483648 metric 1 proto 112 reordering 1886846976")
			detach(l.T, l.Named, one)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLearner(t)
			before := l.hears()
			do(l)
			l.same(before)
		})
	}
}

// TestSettingOfTheGuests has a guest that has the kernel learn no default routes, or that
// changes its mind: its settings stay.
func TestSettingOfTheGuests(t *testing.T) {
	l := newLearner(t)
	l.run("ip link add none type veth peer name two")
	l.run("sysctl -qw net.ipv6.conf.none.accept_ra_defrtr=0")
	l.run("sysctl -qw net.ipv6.conf.eth0.accept_ra=0")
	s := spec("eth1", "br1", "fd09::2/64", "fd09::1")
	before := l.state()
	attach(t, l.Named, s)
	if got := l.defrtr("none") + l.defrtr("eth0") + l.defrtr("two"); got != "010" {
		t.Errorf("accept_ra_defrtr %s", got)
	}
	l.run("sysctl -qw net.ipv6.conf.two.accept_ra_defrtr=2")
	detach(t, l.Named, s)
	l.run("sysctl -qw net.ipv6.conf.two.accept_ra_defrtr=1")
	if diff := cmp.Diff(before, l.state()); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
}

// TestRouterHeardLater has a router that is first heard after a gateway was typed: it does not
// come first.
func TestRouterHeardLater(t *testing.T) {
	l := newLearner(t)
	s := spec("eth1", "br1", "fd09::2/64", "fd09::1")
	attach(t, l.Named, s)
	l.only("fd09::1", s)
	detach(t, l.Named, s)
	if got := l.defrtr("eth0"); got != "1" {
		t.Errorf("accept_ra_defrtr %s", got)
	}
	l.advertiseNew()
	if got := l.defaults(); !strings.Contains(got, "proto ra") {
		t.Errorf("routes afterwards: %s", got)
	}
}

// TestRouterOnLaterInterface has a router on an interface that the guest gets after its
// gateway: check tells of it, also where it is as preferred as that, and mending has the gateway
// come first again.
func TestRouterOnLaterInterface(t *testing.T) {
	for name, preference := range map[string]ndp.Preference{"preferred": ndp.High, "equal": ndp.Medium} {
		t.Run(name, func(t *testing.T) {
			target, g := nstest.Guest(t)
			s := spec("eth1", "br1", "fd09::2/64", "fd09::1")
			attach(t, target, s)
			l := &learner{router: newRouter(t, g, target), Named: target}
			l.preference = preference
			before := l.defrtr("eth0")
			l.advertiseNew()
			at, err := pipework.Check(t.Context(), target, s)
			if err != nil || len(at.Drifts) != 1 || !strings.Contains(at.Drifts[0], "a router advertises") {
				t.Errorf("check: %+v, %v, routes %s", at, err, l.defaults())
			}
			if at := attach(t, target, s); len(at.Mended) != 1 {
				t.Errorf("mended %q", at.Mended)
			}
			l.only("fd09::1", s)
			detach(t, target, s)
			if got := l.defrtr("eth0"); got != before {
				t.Errorf("accept_ra_defrtr %s, was %s", got, before)
			}
		})
	}
}

// TestRouterBesideGateway has a router advertise itself on the network of the gateway, which
// comes first there, too, until an update is without it; also where it is that router.
func TestRouterBesideGateway(t *testing.T) {
	for _, gateway := range []string{"fd09::1", "fe80::ff:fe00:5"} {
		t.Run(gateway, func(t *testing.T) {
			target, g := nstest.Guest(t)
			other, r := nstest.Guest(t)
			dhcptest.NoDAD(t, g)
			dhcptest.NoDAD(t, r)
			neighbour := spec("eth1", "br1", "fd09::1/64")
			neighbour.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 5}
			attach(t, other, neighbour)
			s := spec("eth1", "br1", "fd09::2/64", gateway)
			plain := s
			plain.Gateways = nil
			attach(t, target, plain)
			prefix := 0x10
			is := func(static, advertised int) {
				t.Helper()
				for range 2 { // the second is dealt with after the first
					prefix++
					advertise(t, r, g, fmt.Sprintf("fd%x::", prefix))
				}
				got := ip(t, g, "ip", "-6", "route", "show", "default")
				if strings.Count(got, "proto ra") != advertised || strings.Count(got, "via "+gateway+" dev eth1 proto 112 ") != static {
					t.Errorf("%d and %d by routers are asked for: %s", static, advertised, got)
				}
			}
			is(0, 1)
			update(t, target, s)
			is(1, 0)
			update(t, target, plain)
			is(0, 1)
			attach(t, target, plain)
			detach(t, target, plain)
			detach(t, other, neighbour)
		})
	}
}

// TestUnlearnedAtSteps has attach, update and detach fail, and be killed, at some steps,
// where the kernel has learned a default route. What failed is undone; what was killed, the
// next detach undoes. With two gateways that is so of the last one's.
func TestUnlearnedAtSteps(t *testing.T) {
	one, two := spec("eth1", "br1", "fd09::2/64", "fd09::1"), spec("eth2", "br2", "fd08::2/64", "fd08::1")
	plain := one
	plain.Gateways = nil
	for name, with := range map[string]func(context.Context, fault.Injector) context.Context{"fails": fault.With, "killed": fault.Kill} {
		t.Run(name, func(t *testing.T) {
			l := newLearner(t)
			before := l.hears()
			l.atSteps(with, before, func(ctx context.Context) error {
				if _, err := pipework.Attach(ctx, l.Named, one); err != nil {
					if name == "fails" {
						l.same(before)
					}
					return err
				}
				for _, s := range []pipework.Spec{plain, one} {
					if _, err := pipework.Update(ctx, l.Named, s); err != nil {
						return err
					}
				}
				_, err := pipework.Detach(ctx, l.Named, one)
				return err
			}, one)
			for _, order := range [][]pipework.Spec{{one, two}, {two, one}} {
				l.atSteps(with, before, func(ctx context.Context) error {
					attach(t, l.Named, one)
					if _, err := pipework.Attach(ctx, l.Named, two); err != nil {
						return err
					}
					_, err := pipework.Detach(ctx, l.Named, order[0])
					return err
				}, order...)
			}
			collectBridges(t)
		})
	}
}

// atSteps has some steps go wrong, detaches, and has all be as before.
func (l *learner) atSteps(with func(context.Context, fault.Injector) context.Context, before string, do func(context.Context) error, all ...pipework.Spec) {
	l.Helper()
	steps := contract.SomeSteps(l.T, with, func(ctx context.Context) error {
		err := do(ctx)
		for i, s := range all {
			detach(l.T, l.Named, s)
			if got := l.defrtr("eth0"); i < len(all)-1 && got != "0" && l.has(all[i+1]) {
				l.Errorf("after %s is detached: accept_ra_defrtr %s", s.Name, got)
			}
		}
		l.same(before)
		return err
	})
	l.Logf("%d steps", steps)
}

// has says whether the interface is there, and has its default route.
func (l *learner) has(s pipework.Spec) bool {
	return strings.Contains(l.defaults(), "via "+s.Gateways[0].String()+" ")
}

// Package firewalltest gives a network namespace the firewall that Docker makes.
package firewalltest

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/go-pipework/pipework/ns"
)

// User is the chain that Docker leaves to others.
const User = "DOCKER-USER"

// SetBridgeNF sets the namespace's bridge-nf-call-iptables and its namesake for
// IPv6: "1" shows bridged frames to the firewall, "0" does not. It returns false
// where the kernel has no br_netfilter, and so nothing to set.
func SetBridgeNF(t testing.TB, h *ns.Handle, value string) bool {
	t.Helper()
	err := h.Do(t.Context(), func() error {
		return errors.Join(
			os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte(value), 0),
			os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-ip6tables", []byte(value), 0))
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// Edit changes the ruleset of the namespace.
func Edit(t testing.TB, h *ns.Handle, f func(*nftables.Conn)) {
	t.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(int(h.NetNS())))
	if err != nil {
		t.Fatal(err)
	}
	f(c)
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

// Docker makes, for the length of the test, what Docker makes of each family, or
// of both: FORWARD with policy drop, and the chain DOCKER-USER, which returns.
func Docker(t testing.TB, h *ns.Handle, families ...nftables.TableFamily) {
	t.Helper()
	if families == nil {
		families = []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6}
	}
	Edit(t, h, func(c *nftables.Conn) {
		for _, family := range families {
			chains(c, family)
		}
	})
	t.Cleanup(func() { Edit(t, h, func(c *nftables.Conn) { c.FlushRuleset() }) })
}

func chains(c *nftables.Conn, family nftables.TableFamily) {
	drop := nftables.ChainPolicyDrop
	t := c.AddTable(&nftables.Table{Family: family, Name: "filter"})
	user := c.AddChain(&nftables.Chain{Name: User, Table: t})
	c.AddRule(&nftables.Rule{Table: t, Chain: user, Exprs: []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictReturn}}})
	forward := c.AddChain(&nftables.Chain{
		Name: "FORWARD", Table: t, Type: nftables.ChainTypeFilter, Policy: &drop,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	c.AddRule(&nftables.Rule{Table: t, Chain: forward, Exprs: []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictJump, Chain: User}}})
}

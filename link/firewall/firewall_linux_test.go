package firewall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/firewalltest"
	"github.com/go-pipework/pipework/ns"
)

// fwNS makes a network namespace, so that no test sees another's firewall.
func fwNS(t testing.TB) *ns.Handle {
	t.Helper()
	var h *ns.Handle
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			h, err = ns.Current()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("network namespace: %v (not root, and no user namespace)", err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func within(h *ns.Handle, bridge string) Bridge { return Bridge{Name: bridge, Do: h.Do} }

// fwHost is a namespace whose firewall sees bridged frames.
func fwHost(t testing.TB) *ns.Handle {
	t.Helper()
	h := fwNS(t)
	if !firewalltest.SetBridgeNF(t, h, "1") {
		t.Skip("the kernel has no br_netfilter")
	}
	return h
}

func fwIn(t testing.TB, h *ns.Handle, f func() error) {
	t.Helper()
	if err := h.Do(context.Background(), f); err != nil {
		t.Fatal(err)
	}
}

// fwRun runs a program inside; ok is false where the machine has none.
func fwRun(t testing.TB, h *ns.Handle, program string, args ...string) (out string, ok bool) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		return "", false
	}
	fwIn(t, h, func() error {
		cmd := exec.Command(path, args...)
		cmd.Env = append(os.Environ(), "XTABLES_LOCKFILE="+t.TempDir()+"/lock")
		b, err := cmd.CombinedOutput()
		if out = string(b); err != nil {
			err = fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, b)
		}
		return err
	})
	return out, true
}

type fwChain struct {
	family nftables.TableFamily
	table  string
	name   string
	policy nftables.ChainPolicy
	rules  [][]expr.Any
}

var (
	fw4, fw6, fwInet = nftables.TableFamilyIPv4, nftables.TableFamilyIPv6, nftables.TableFamilyINet
	fwDrop, fwAccept = nftables.ChainPolicyDrop, nftables.ChainPolicyAccept
)

// fwBase adds a base chain at the forward hook.
func fwBase(c *nftables.Conn, in fwChain) {
	t := c.AddTable(&nftables.Table{Family: in.family, Name: in.table})
	chain := c.AddChain(&nftables.Chain{
		Name: in.name, Table: t, Type: nftables.ChainTypeFilter, Policy: &in.policy,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	for _, r := range in.rules {
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: r})
	}
}

func fwTo(kind expr.VerdictKind, chain string) *expr.Verdict {
	return &expr.Verdict{Kind: kind, Chain: chain}
}

func fwNamed(key expr.MetaKey, op expr.CmpOp, name string) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: []byte(name)}}
}

// fwOwn counts our rules, by family.
func fwOwn(t testing.TB, h *ns.Handle, bridge string) map[string]int {
	t.Helper()
	ctx := context.Background()
	f, err := newFirewall(ctx, within(h, bridge), loaded)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	n := map[string]int{}
	for _, fam := range ipFamilies {
		own, err := f.own(ctx, fam)
		if err != nil {
			t.Fatal(err)
		}
		if len(own) > 0 {
			n[fam.tool] = len(own)
		}
	}
	return n
}

func wantOwn(t *testing.T, h *ns.Handle, want map[string]int) {
	t.Helper()
	if diff := cmp.Diff(want, fwOwn(t, h, "br1")); diff != "" {
		t.Errorf("rules for br1 (-want +got):\n%s", diff)
	}
}

// mustAccept has the rule added for br1 and wants the answer.
func mustAccept(t *testing.T, h *ns.Handle, want Advice, wantAdded bool) {
	t.Helper()
	added, rest, err := within(h, "br1").Accept(t.Context())
	if err != nil || added != wantAdded {
		t.Errorf("accept: %v, %v; want %v", added, err, wantAdded)
	}
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Errorf("advice after accept (-want +got):\n%s", diff)
	}
}

func mustCheck(t *testing.T, h *ns.Handle, want Advice) {
	t.Helper()
	got, err := within(h, "br1").Check(t.Context())
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("advice (-want +got):\n%s", diff)
	}
}

func mustRemove(t *testing.T, h *ns.Handle) {
	t.Helper()
	if err := within(h, "br1").Remove(context.Background()); err != nil {
		t.Errorf("remove: %v", err)
	}
}

var (
	both   = map[string]int{"iptables": 1, "ip6tables": 1}
	none   = map[string]int{}
	docker = Advice{Accept: []string{"iptables -I DOCKER-USER -i br1 -o br1 -j ACCEPT", "ip6tables -I DOCKER-USER -i br1 -o br1 -j ACCEPT"}}
)

func TestFirewallDocker(t *testing.T) {
	h := fwHost(t)
	firewalltest.Docker(t, h)
	mustCheck(t, h, docker)
	wantOwn(t, h, none)
	mustAccept(t, h, Advice{}, true)
	wantOwn(t, h, both)
	mustAccept(t, h, Advice{}, false)
	wantOwn(t, h, both)
	mustCheck(t, h, Advice{})

	// Docker makes its chains anew, for one family.
	firewalltest.Edit(t, h, func(c *nftables.Conn) {
		c.DelTable(&nftables.Table{Family: fw4, Name: "filter"})
	})
	firewalltest.Docker(t, h, fw4)
	wantOwn(t, h, map[string]int{"ip6tables": 1})
	mustAccept(t, h, Advice{}, true)
	wantOwn(t, h, both)

	// Other bridges' rules stay.
	if _, _, err := within(h, "br10").Accept(context.Background()); err != nil {
		t.Fatal(err)
	}
	mustRemove(t, h)
	wantOwn(t, h, none)
	if diff := cmp.Diff(both, fwOwn(t, h, "br10")); diff != "" {
		t.Errorf("rules for br10 (-want +got):\n%s", diff)
	}
	mustRemove(t, h)
	mustCheck(t, h, docker)
}

func TestFirewallOneFamily(t *testing.T) {
	h := fwHost(t)
	firewalltest.Docker(t, h, fw4)
	mustAccept(t, h, Advice{}, true)
	wantOwn(t, h, map[string]int{"iptables": 1})
	mustCheck(t, h, Advice{})
	mustRemove(t, h)
	wantOwn(t, h, none)
}

// TestFirewallOff leaves everything alone where the firewall does not see bridged frames,
// but takes away what was added before.
func TestFirewallOff(t *testing.T) {
	h := fwHost(t)
	firewalltest.Docker(t, h)
	mustAccept(t, h, Advice{}, true)
	firewalltest.SetBridgeNF(t, h, "0")
	mustRemove(t, h)
	wantOwn(t, h, none)
	mustCheck(t, h, Advice{})
	mustAccept(t, h, Advice{}, false)
	wantOwn(t, h, none)
}

// TestFirewallRulesets has the rulesets that are nobody's to change.
func TestFirewallRulesets(t *testing.T) {
	in, out := fwNamed(expr.MetaKeyIIFNAME, expr.CmpOpEq, "br1\x00"), fwNamed(expr.MetaKeyOIFNAME, expr.CmpOpEq, "br1\x00")
	accept := fwTo(expr.VerdictAccept, "")
	rule := func(parts ...any) (exprs []expr.Any) {
		for _, p := range parts {
			if e, ok := p.(expr.Any); ok {
				exprs = append(exprs, e)
			} else {
				exprs = append(exprs, p.([]expr.Any)...)
			}
		}
		return exprs
	}
	classic := func(policy nftables.ChainPolicy, rules ...[]expr.Any) fwChain {
		return fwChain{fw4, "filter", "FORWARD", policy, rules}
	}
	insert := "iptables -I FORWARD -i br1 -o br1 -j ACCEPT"
	for _, tt := range []struct {
		name  string
		chain fwChain
		want  string
	}{
		{"accept", classic(fwAccept), ""},
		{"drop", classic(fwDrop), insert},
		{"drop, IPv6", fwChain{fw6, "filter", "FORWARD", fwDrop, nil}, "ip6tables -I FORWARD -i br1 -o br1 -j ACCEPT"},
		{"drop, native", fwChain{fw4, "filter", "forward", fwDrop, nil}, "nft insert rule ip filter forward iifname br1 oifname br1 accept"},
		{"drop, inet", fwChain{fwInet, "fw", "fwd", fwDrop, nil}, "nft insert rule inet fw fwd iifname br1 oifname br1 accept"},
		{"mended", classic(fwDrop, rule(in, out, &expr.Counter{}, accept)), ""},
		{"mended, inet", fwChain{fwInet, "fw", "fwd", fwDrop, [][]expr.Any{rule(in, out, accept)}}, ""},
		{"mended in part", classic(fwDrop, rule(in, accept)), ""},
		{"all bridges", classic(fwDrop, rule(fwNamed(expr.MetaKeyIIFNAME, expr.CmpOpEq, "br"), accept)), ""},
		{"another's", classic(fwDrop, rule(fwNamed(expr.MetaKeyIIFNAME, expr.CmpOpEq, "br10\x00"), accept)), insert},
		{"all but the bridge", classic(fwDrop, rule(fwNamed(expr.MetaKeyIIFNAME, expr.CmpOpNeq, "br1\x00"), accept)), insert},
		{"drop rule", classic(fwDrop, rule(in, out, fwTo(expr.VerdictDrop, ""))), insert},
		{"replies only", classic(fwDrop, rule(
			&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: []byte{6, 0, 0, 0}, Xor: make([]byte, 4)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)}, accept)), insert},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := fwHost(t)
			firewalltest.Edit(t, h, func(c *nftables.Conn) { fwBase(c, tt.chain) })
			var want Advice
			if tt.want != "" {
				want.Others = []string{tt.want}
			}
			mustCheck(t, h, want)
			mustAccept(t, h, want, false)
			mustRemove(t, h)
		})
	}
}

// TestBridges lists the bridges that rules were made for, and believes no comment alone.
func TestBridges(t *testing.T) {
	h := fwHost(t)
	mustList := func(want ...string) {
		t.Helper()
		if got, err := Bridges(t.Context(), h.Do); err != nil || !slices.Equal(got, want) {
			t.Errorf("bridges %q, %v; want %q", got, err, want)
		}
	}
	mustList()
	firewalltest.Docker(t, h)
	mustList()
	for _, name := range []string{"br1", "br10"} {
		if _, _, err := within(h, name).Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	firewalltest.Edit(t, h, func(c *nftables.Conn) {
		table := &nftables.Table{Family: fw4, Name: "filter"}
		c.InsertRule(&nftables.Rule{Table: table, Chain: &nftables.Chain{Name: dockerChain, Table: table},
			UserData: userdata.AppendString(nil, userdata.TypeComment, "pipework and others"), Exprs: []expr.Any{fwTo(expr.VerdictAccept, "")}})
	})
	mustList("br10", "br1")
	mustRemove(t, h)
	mustList("br10")
}

// TestFirewallRace opens many at once, and wants one rule.
func TestFirewallRace(t *testing.T) {
	h := fwHost(t)
	firewalltest.Docker(t, h)
	for range 5 {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, _, err := within(h, "br1").Accept(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		wantOwn(t, h, both)
		mustRemove(t, h)
		wantOwn(t, h, none)
	}
}

// TestFirewallFaults fails every step in turn, and wants the ruleset as it was.
func TestFirewallFaults(t *testing.T) {
	h := fwHost(t)
	firewalltest.Docker(t, h)
	firewalltest.Edit(t, h, func(c *nftables.Conn) {
		fwBase(c, fwChain{fwInet, "fw", "fwd", fwDrop, nil})
	})
	boom := errors.New("boom")
	for n := 0; ; n++ {
		steps := []string{}
		ctx := fault.With(context.Background(), func(step string) error {
			if steps = append(steps, step); len(steps) > n {
				return boom
			}
			return nil
		})
		added, _, err := within(h, "br1").Accept(ctx)
		if err == nil {
			if !added || n < 10 {
				t.Errorf("added %v after %d steps: %q", added, n, steps)
			}
			break
		}
		if !errors.Is(err, boom) || added || strings.Contains(err.Error(), "\n") {
			t.Errorf("step %d (%q): %v, added %v", n, steps[n], err, added)
		}
		wantOwn(t, h, none)
	}
	wantOwn(t, h, both)
	for n := 0; ; n++ {
		left := n
		ctx := fault.With(context.Background(), func(string) error {
			if left--; left < 0 {
				return boom
			}
			return nil
		})
		if err := within(h, "br1").Remove(ctx); err == nil {
			break
		} else if !errors.Is(err, boom) {
			t.Errorf("step %d: %v", n, err)
		}
		wantOwn(t, h, both)
	}
	wantOwn(t, h, none)
}

func TestFirewallCancelled(t *testing.T) {
	h := fwHost(t)
	firewalltest.Docker(t, h)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := within(h, "br1").Accept(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v", err)
	}
	if err := within(h, "br1").Remove(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	wantOwn(t, h, none)
}

// TestFirewallStopped ends a call that waits in the socket for an answer.
func TestFirewallStopped(t *testing.T) {
	h := fwHost(t)
	ctx, cancel := context.WithCancel(context.Background())
	f, err := newFirewall(ctx, within(h, "br1"), shown)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	cancel()
	err = f.ask(context.WithoutCancel(ctx), "list", func() error {
		for range 1000 { // until the deadline has been set
			if _, err := f.nft.ListTables(); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a call after the context's end: %v", err)
	}
}

func TestFirewallPermission(t *testing.T) {
	h := fwHost(t)
	f := &firewall{bridge: within(h, "br1")}
	err := f.ask(context.Background(), "list tables", func() error { return unix.EPERM })
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v", err)
	}
}

// TestFirewallIptables has iptables list, check, save, restore and delete the
// rule.
func TestFirewallIptables(t *testing.T) {
	for _, tool := range []string{"iptables-nft", "ip6tables-nft"} {
		t.Run(tool, func(t *testing.T) {
			h := fwHost(t)
			if _, ok := fwRun(t, h, tool, "-P", "FORWARD", "DROP"); !ok {
				t.Skip("no " + tool)
			}
			for _, args := range []string{"-N DOCKER-USER", "-A DOCKER-USER -j RETURN", "-A FORWARD -j DOCKER-USER"} {
				fwRun(t, h, tool, strings.Fields(args)...)
			}
			mustAccept(t, h, Advice{}, true)
			want := "-N DOCKER-USER\n-A DOCKER-USER -i br1 -o br1 -m comment --comment \"pipework br1\" -j ACCEPT\n-A DOCKER-USER -j RETURN\n"
			if got, _ := fwRun(t, h, tool, "-S", "DOCKER-USER"); got != want {
				t.Errorf("%s -S DOCKER-USER (-want +got):\n%s", tool, cmp.Diff(want, got))
			}
			saved, _ := fwRun(t, h, tool+"-save")
			file := t.TempDir() + "/rules"
			if err := os.WriteFile(file, []byte(saved), 0o600); err != nil {
				t.Fatal(err)
			}
			fwRun(t, h, tool+"-restore", file)
			mustAccept(t, h, Advice{}, false)
			mustRemove(t, h)
			mustAccept(t, h, Advice{}, true)
			rule := []string{"DOCKER-USER", "-i", "br1", "-o", "br1", "-m", "comment", "--comment", "pipework br1", "-j", "ACCEPT"}
			fwRun(t, h, tool, append([]string{"-C"}, rule...)...)
			fwRun(t, h, tool, append([]string{"-D"}, rule...)...)
			wantOwn(t, h, none)

			// The mend, typed.
			advice, err := within(h, "br1").Check(t.Context())
			if err != nil || len(advice.Accept) != 1 {
				t.Fatal(advice, err)
			}
			command := strings.Fields(advice.Accept[0])
			fwRun(t, h, command[0], command[1:]...)
			mustCheck(t, h, Advice{})
			mustAccept(t, h, Advice{}, false)
		})
	}
}

// TestFirewallLegacy has a policy that netlink cannot see.
func TestFirewallLegacy(t *testing.T) {
	for i, tool := range []string{"iptables", "ip6tables"} {
		t.Run(tool, func(t *testing.T) {
			legacy := tool + "-legacy"
			if _, err := exec.LookPath(legacy); err != nil {
				t.Skip("no " + legacy)
			}
			h := fwHost(t)
			err := h.Do(context.Background(), func() error {
				cmd := exec.Command(legacy, "-S")
				cmd.Env = append(os.Environ(), "XTABLES_LOCKFILE="+t.TempDir()+"/lock")
				if out, err := cmd.CombinedOutput(); err != nil {
					return fmt.Errorf("%s: %w: %s", legacy, err, out)
				}
				_, err := os.ReadFile("/proc/thread-self/net/" + ipFamilies[i].legacy.names)
				return err
			})
			if err != nil {
				t.Skipf("only for root, and where the kernel has it: %v", err)
			}
			mustCheck(t, h, Advice{}) // the table is there, but its policy accepts
			fwRun(t, h, legacy, "-P", "FORWARD", "DROP")
			fwRun(t, h, legacy, "-A", "FORWARD", "-i", "br10", "-o", "br1", "-j", "ACCEPT")
			insert := func(chain string) Advice {
				return Advice{Others: []string{legacy + " -I " + chain + " -i br1 -o br1 -j ACCEPT"}}
			}
			mustCheck(t, h, insert("FORWARD"))
			mustAccept(t, h, insert("FORWARD"), false)
			fwRun(t, h, legacy, "-N", "DOCKER-USER")
			mustCheck(t, h, insert("DOCKER-USER"))
			fwRun(t, h, legacy, strings.Fields(insert("DOCKER-USER").Others[0])[1:]...)
			mustCheck(t, h, Advice{})
		})
	}
}

// FuzzLegacyRules feeds the walk through the kernel's table with anything.
func FuzzLegacyRules(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add(make([]byte, 400), 100)
	entry := make([]byte, 152)
	entry[88], entry[90] = 112, 152
	f.Add(entry, 0)
	f.Fuzz(func(_ *testing.T, blob []byte, policy int) {
		for _, x := range []xtables{xtables4, xtables6} {
			l := &legacyRules{xtables: x, blob: blob, policy: policy}
			l.drops("br1")
			l.has(dockerChain)
		}
	})
}

// TestFirewallTraffic sends packets from one guest to another through a bridge.
func TestFirewallTraffic(t *testing.T) {
	h := fwHost(t)
	guests := fwBridge(t, h)
	say := func(want bool) {
		t.Helper()
		for _, addrs := range [][2]string{{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8::2"}} {
			if got := fwReaches(t, guests, addrs, want); got != want {
				t.Errorf("%s reaches %s: %v, want %v", addrs[0], addrs[1], got, want)
			}
		}
	}
	say(true)
	firewalltest.Docker(t, h)
	say(false)
	mustAccept(t, h, Advice{}, true)
	say(true)
	mustRemove(t, h)
	say(false)
}

// fwBridge makes the bridge br1 with two guests on it.
func fwBridge(t *testing.T, h *ns.Handle) (guests [2]*ns.Handle) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	host, err := h.Netlink(ctx)
	must(err)
	defer host.Close()
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br1"}}
	must(host.LinkAdd(br))
	must(host.LinkSetUp(br))
	for i := range guests {
		guests[i] = fwNS(t)
		veth := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprint("port", i), MasterIndex: br.Index, Flags: net.FlagUp},
			PeerName:  "eth0", PeerNamespace: netlink.NsFd(guests[i].NetNS()),
		}
		must(host.LinkAdd(veth))
		guest, err := guests[i].Netlink(ctx)
		must(err)
		defer guest.Close()
		eth0, err := guest.LinkByName("eth0")
		must(err)
		for _, a := range []string{"192.0.2.%d/24", "2001:db8::%d/64"} {
			addr, err := netlink.ParseAddr(fmt.Sprintf(a, i+1))
			must(err)
			if addr.IP.To4() == nil {
				addr.Flags = unix.IFA_F_NODAD
			}
			must(guest.AddrAdd(eth0, addr))
		}
		must(guest.LinkSetUp(eth0))
	}
	return guests
}

// fwReaches says whether a datagram from one guest reaches the other: within
// five seconds where it should, and not in some tenths of one where not.
func fwReaches(t *testing.T, guests [2]*ns.Handle, addrs [2]string, expect bool) bool {
	t.Helper()
	var from, to *net.UDPConn
	for i, c := range []**net.UDPConn{&from, &to} {
		addr := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addrs[i]), 4000))
		fwIn(t, guests[i], func() (err error) { *c, err = net.ListenUDP("udp", addr); return err })
		defer func() { _ = (*c).Close() }()
	}
	tries := 5
	if expect {
		tries = 100
	}
	for range tries {
		_, _ = from.WriteTo([]byte("hello"), to.LocalAddr())
		_ = to.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, _, err := to.ReadFrom(make([]byte, 16)); err == nil {
			return true
		}
	}
	return false
}

func BenchmarkOff(b *testing.B) {
	h := fwHost(b)
	firewalltest.SetBridgeNF(b, h, "0")
	benchAccept(b, h)
}

// BenchmarkNone finds no firewall, where one would see bridged frames.
func BenchmarkNone(b *testing.B) { benchAccept(b, fwHost(b)) }

// BenchmarkThere finds the rule in place.
func BenchmarkThere(b *testing.B) {
	h := fwHost(b)
	firewalltest.Docker(b, h)
	benchAccept(b, h)
}

// benchAccept works on a thread that is in the namespace, as a process's own are in the
// host's, and on one that must enter it.
func benchAccept(b *testing.B, h *ns.Handle) {
	loop := func(b *testing.B, do Do) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := (Bridge{Name: "br1", Do: do}).Accept(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("own", func(b *testing.B) {
		fwIn(b, h, func() error {
			loop(b, func(_ context.Context, f func() error) error { return f() })
			return nil
		})
	})
	b.Run("other", func(b *testing.B) { loop(b, h.Do) })
}

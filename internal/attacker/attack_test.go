//go:build linux

package attacker_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/attacker"
	"github.com/go-pipework/pipework/internal/keeptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ns/find"
	"github.com/go-pipework/pipework/watch"
)

func TestMain(m *testing.M) {
	attacker.Main()
	nstest.Main(m)
}

// attackTime is how long the guest attacks: PIPEWORK_ATTACK, or 20 seconds.
func attackTime(t *testing.T) time.Duration {
	d, err := time.ParseDuration(os.Getenv("PIPEWORK_ATTACK"))
	switch {
	case os.Getenv("PIPEWORK_ATTACK") == "" && testing.Short():
		return 5 * time.Second
	case os.Getenv("PIPEWORK_ATTACK") == "":
		return 20 * time.Second
	case err != nil:
		t.Fatal(err)
	}
	return d
}

// A siege is a host with honest guests, a watcher, and one guest that attacks.
type siege struct {
	*testing.T
	*rand.Rand
	plugger keep.Plugger
	honest  []*honest
	spare   ns.Ref // a guest on which calls are timed
	evil    ns.Ref
	nic     net.HardwareAddr
	wire    int // index of the NIC's other end

	world   *nstest.World
	sysctls map[string]string
	calm    time.Duration // of the calls for the spare guest, the median
	took    []time.Duration
	counts  map[string]int
	round   []string // what was called in this one
}

// An honest guest keeps what is declared for it.
type honest struct {
	ref  ns.Ref
	spec pipework.Spec
	g    *ns.Guest
	mark string
	cut  bool // on the attacker's wire, where frames are anybody's: it need not be reached
}

// TestAttack has a guest do all that its root can, while pipework plugs it in and out, and
// honest guests beside it, and a Watcher mends. What SECURITY.md promises holds all the time.
func TestAttack(t *testing.T) {
	length := attackTime(t)
	s := newSiege(t)
	s.measureCalm()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s.Rand = rand.New(rand.NewPCG(seed, 1))
	p := s.start(seed, length)
	s.world = nstest.Observe(s.T, s.honest[0].g.Handle, s.honest[1].g.Handle)
	for end := time.Now().Add(length); time.Now().Before(end) && !t.Failed(); {
		s.attackOnce()
	}
	done, err := p.End()
	keeptest.Must(t, err)
	s.close(done)
}

func newSiege(t *testing.T) *siege {
	s := &siege{T: t, Rand: rand.New(rand.NewPCG(1, 1)), counts: map[string]int{}, nic: net.HardwareAddr{2, 0, 0, 0, 9, 9}, evil: ns.Ref{Kind: ns.Netns, Name: "evil"}}
	s.plugger = keep.Plugger{Store: keeptest.Store(t), Target: find.Target}
	s.addNIC()
	for i, bridge := range []string{"br2", "br2", "br1"} {
		s.honest = append(s.honest, s.plugHonest(bridge, i+1))
	}
	s.spare = ref(nstest.Process(t).PID)
	s.watch()
	return s
}

func ref(pid int) ns.Ref { return ns.ParseRef(fmt.Sprintf("pid:%d", pid)) }

// nicIndex is one that no other link gets, so that the attacker never deletes the NIC for
// another link that it has seen: nobody can delete hardware.
const nicIndex = 1 << 29

// addNIC makes nic0, which stands for hardware: it is cabled to a machine of its own.
func (s *siege) addNIC() {
	_, lan := nstest.Guest(s.T)
	h := s.host()
	defer func() { _ = h.Close() }()
	a := netlink.NewLinkAttrs()
	a.Name, a.HardwareAddr, a.Alias = "nic0", s.nic, "uplink of the lab"
	a.Index = nicIndex
	keeptest.Must(s.T, h.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "wire", PeerNamespace: netlink.NsFd(int(lan.NetNS()))}))
	l, err := h.LinkByIndex(nicIndex)
	keeptest.Must(s.T, err)
	keeptest.Must(s.T, errors.Join(h.LinkSetName(l, "nic0"), h.LinkSetAlias(l, a.Alias), h.LinkSetUp(l)))
	s.wire = l.Attrs().ParentIndex
	there, err := netlink.NewHandleAt(lan.NetNS(), unix.NETLINK_ROUTE)
	keeptest.Must(s.T, err)
	defer func() { _ = there.Close() }()
	wire, err := there.LinkByName("wire")
	keeptest.Must(s.T, err)
	keeptest.Must(s.T, there.LinkSetUp(wire))
	s.Cleanup(func() {
		if nstest.NoLink(s.T, "nic0") != nil {
			nstest.DelLink(s.T, "nic0")
		}
	})
}

func (s *siege) host() *netlink.Handle {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	keeptest.Must(s.T, err)
	return h
}

func prefixes(words ...string) (all []netip.Prefix) {
	for _, w := range words {
		all = append(all, netip.MustParsePrefix(w))
	}
	return all
}

func (s *siege) plugHonest(bridge string, n int) *honest {
	p := nstest.Process(s.T)
	h := &honest{ref: ref(p.PID), cut: bridge == "br1"}
	net := map[string]int{"br1": 1, "br2": 2}[bridge]
	h.spec = pipework.Spec{
		Link: link.Bridge{Name: bridge}, Name: "eth1",
		Addrs:    prefixes(fmt.Sprintf("10.%d.0.%d/24", net, 10+n), fmt.Sprintf("fd0%d::%d/64", net, 10+n)),
		Gateways: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.%d.0.1", net)), netip.MustParseAddr(fmt.Sprintf("fd0%d::1", net))},
	}
	_, _, err := s.plugger.Attach(s.Context(), h.ref, keep.Declared{Spec: h.spec})
	keeptest.Must(s.T, err)
	h.g, err = ns.PID(p.PID).Open(s.Context())
	keeptest.Must(s.T, err)
	s.Cleanup(func() { keeptest.Must(s.T, h.g.Close()) })
	c, err := netlink.NewHandleAt(h.g.NetNS(), unix.NETLINK_ROUTE)
	keeptest.Must(s.T, err)
	defer func() { _ = c.Close() }()
	l, err := c.LinkByName("eth1")
	keeptest.Must(s.T, err)
	h.mark = l.Attrs().Alias
	return h
}

// watch has a Watcher keep everything as declared, for the length of the test.
func (s *siege) watch() {
	w := &watch.Watcher{Plugger: s.plugger, Poll: time.Second, Resync: time.Second, Log: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	s.Cleanup(func() {
		stop()
		if err := testwait.Receive(s.T, "Run ends", ended); !errors.Is(err, context.Canceled) {
			s.Error("watch:", err)
		}
	})
}

// callTime bounds every call for the attacker.
const callTime = 30 * time.Second

// measureCalm times calls while nobody attacks.
func (s *siege) measureCalm() {
	s.sysctls = s.readSysctls()
	for range 10 {
		s.honestCalls()
	}
	s.calm = median(s.took)
	s.took = nil
}

func median(all []time.Duration) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// start starts the attacker, as the guest netns:evil.
func (s *siege) start(seed uint64, length time.Duration) *attacker.Process {
	k := attacker.Knowledge{Seed: seed, Routes: 3000}
	if length > time.Minute {
		k.Routes = 200_000
	}
	for _, h := range s.honest {
		k.Marks = append(k.Marks, h.mark)
		for _, a := range h.spec.Addrs {
			k.Addrs = append(k.Addrs, a.Addr().String())
		}
		for _, a := range h.spec.Gateways {
			k.Addrs = append(k.Addrs, a.String())
		}
	}
	k.Hardware = []int{s.wire}
	h := s.host()
	defer func() { _ = h.Close() }()
	all, err := nstest.Whole(h.LinkList)
	keeptest.Must(s.T, err)
	for _, l := range all {
		if l.Attrs().Index != nicIndex {
			k.Indexes = append(k.Indexes, l.Attrs().Index)
		}
		if l.Attrs().Alias != "" {
			k.Marks = append(k.Marks, l.Attrs().Alias)
		}
	}
	p, err := attacker.Start(k)
	keeptest.Must(s.T, err)
	keeptest.Must(s.T, os.WriteFile("/run/netns/evil", nil, 0o444))
	keeptest.Must(s.T, unix.Mount(fmt.Sprintf("/proc/%d/ns/net", p.PID), "/run/netns/evil", "", unix.MS_BIND, ""))
	s.Cleanup(func() {
		keeptest.Must(s.T, errors.Join(unix.Unmount("/run/netns/evil", unix.MNT_DETACH), os.Remove("/run/netns/evil")))
	})
	return p
}

// specs are what the attacker is plugged in with.
func (s *siege) specs() map[string]pipework.Spec {
	gateways := []netip.Addr{netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("fd01::1")}
	return map[string]pipework.Spec{
		"bridge": {Link: link.Bridge{Name: "br1"}, Addrs: prefixes("10.1.0.66/24", "fd01::66/64"), Gateways: gateways},
		"pinned": {Link: link.Bridge{Name: "br1"}, Addrs: prefixes("10.1.0.66/24", "fd01::66/64"), Pin: true},
		"routes": {
			Link: link.Bridge{Name: "br1"}, Addrs: prefixes("10.1.0.66/24"),
			Routes: []link.Route{{Dst: netip.MustParsePrefix("10.7.0.0/16"), Via: netip.MustParseAddr("10.1.0.1")}, {Dst: netip.MustParsePrefix("0.0.0.0/0"), Table: 77}},
			Rules:  []link.Rule{{From: netip.MustParsePrefix("10.1.0.66/32"), Table: 77}},
		},
		"own bridge": {Link: link.Bridge{Name: "br6"}, Addrs: prefixes("10.6.0.66/24"), Gateways: []netip.Addr{netip.MustParseAddr("10.6.0.1")}},
		"pair":       {Link: link.Veth{HostName: "evil0", HostAddrs: prefixes("10.8.0.1/24")}, Addrs: prefixes("10.8.0.66/24")},
		"macvlan":    {Link: link.Macvlan{Parent: "nic0"}, Addrs: prefixes("10.9.0.66/24")},
		"NIC":        {Link: link.Phys{Device: "nic0"}, Addrs: prefixes("10.9.0.66/24")},
		"lease":      {Link: link.Bridge{Name: "br1"}, DHCP: &dhcp.Config{}},
	}
}

// attackOnce plugs the attacker in, makes calls of all kinds for it and for others, and unplugs it.
func (s *siege) attackOnce() {
	s.round = nil
	defer func() {
		if s.Failed() {
			s.Logf("this round:\n%s", strings.Join(s.round, "\n"))
		}
	}()
	all := s.specs()
	kind := pick(s.Rand, slices.Sorted(maps.Keys(all)))
	spec := all[kind]
	spec.Name = pick(s.Rand, []string{"eth1", "eth2", "w1", "w2"})
	s.counts["rounds"]++
	s.counts["plugged: "+kind]++
	s.round = append(s.round, kind+" as "+spec.Name)
	s.call("attach", func(ctx context.Context) error {
		if spec.DHCP != nil {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
		}
		_, _, err := s.plugger.Attach(ctx, s.evil, keep.Declared{Spec: spec})
		return err
	})
	for range 1 + s.IntN(3) {
		s.another(spec)
	}
	s.honestCalls()
	s.unplug()
	s.promises()
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// another makes one call for the attacker, or for everybody.
func (s *siege) another(spec pipework.Spec) {
	calls := map[string]func(context.Context) error{
		"attach again": func(ctx context.Context) error {
			_, _, err := s.plugger.Attach(ctx, s.evil, keep.Declared{Spec: spec})
			return err
		},
		"update": func(ctx context.Context) error {
			changed := spec
			changed.MTU = 1300 + s.IntN(100)
			changed.Addrs = append(slices.Clip(spec.Addrs), netip.MustParsePrefix(fmt.Sprintf("10.77.%d.1/24", s.IntN(250))))
			_, err := s.plugger.Update(ctx, s.plugger.Target(s.evil), changed)
			return err
		},
		"check": func(ctx context.Context) error {
			_, err := s.plugger.Status(ctx)
			return err
		},
		"list": func(ctx context.Context) error {
			_, _, err := s.plugger.Listing(ctx)
			return err
		},
		"list the guest": func(ctx context.Context) error {
			_, _, err := s.plugger.Listing(ctx, s.plugger.Target(s.evil))
			return err
		},
		"gc": func(ctx context.Context) error {
			_, err := s.plugger.Collect(ctx)
			return err
		},
	}
	name := pick(s.Rand, slices.Sorted(maps.Keys(calls)))
	s.call(name, calls[name])
}

// call makes a call that concerns the attacker: it may fail, in one line, but it ends by its
// deadline, and the undo that has begun ten seconds later.
func (s *siege) call(name string, f func(context.Context) error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), callTime)
	defer cancel()
	begun := time.Now()
	err := f(ctx)
	took := time.Since(begun)
	s.counts[name]++
	s.round = append(s.round, fmt.Sprintf("%s, %v: %v", name, took, err))
	if err != nil {
		s.counts[name+", in vain"]++
		if text := err.Error(); strings.ContainsAny(text, "\x1b\x07\n") {
			s.Errorf("%s: raw: %q", name, text)
		}
	}
	if took > callTime+15*time.Second {
		s.Errorf("%s took %v: %v", name, took, err)
	}
}

// honestCalls are those for another guest: they succeed, and are timed.
func (s *siege) honestCalls() {
	s.Helper()
	begun := time.Now()
	d := keep.Declared{Spec: pipework.Spec{Link: link.Bridge{Name: "br2"}, Addrs: prefixes("10.2.0.99/24")}}
	ctx, cancel := context.WithTimeout(s.Context(), callTime)
	defer cancel()
	if _, _, err := s.plugger.Attach(ctx, s.spare, d); err != nil {
		s.Errorf("attach of an honest guest: %v", err)
	}
	if found, err := s.plugger.Status(ctx, s.spare); err != nil || len(found) != 1 {
		s.Errorf("check of an honest guest: %v, %v", found, err)
	}
	if _, err := s.plugger.Detach(ctx, s.spare, "", keep.DetachOptions{}); err != nil {
		s.Errorf("detach of an honest guest: %v", err)
	}
	s.took = append(s.took, time.Since(begun))
	s.counts["honest calls"] += 3
}

// unplug takes everything from the attacker. What it does meanwhile may have that fail, but not
// for long.
func (s *siege) unplug() {
	s.Helper()
	var err error
	for range 10 {
		s.call("detach", func(ctx context.Context) error {
			_, err = s.plugger.DetachGuest(ctx, s.evil, keep.DetachOptions{})
			return err
		})
		if (err == nil || errors.Is(err, fs.ErrNotExist)) && len(s.records()) == 0 {
			return
		}
	}
	if left := s.records(); len(left) > 0 {
		s.Errorf("the attacker keeps what it has: %v; records: %v", err, left)
		return
	}
	// What is refused is the attacker's own, with a forged mark: that nothing of the host's is
	// left in it, promises tells.
	s.counts["detach, refused without a record"]++
}

// records are those of the attacker.
func (s *siege) records() (names []string) {
	all, damaged, err := s.plugger.Store.All()
	if err != nil || len(damaged) > 0 {
		s.Errorf("records: %v, %v", err, damaged)
	}
	for _, r := range all {
		if r.Guest.String() == s.evil.String() {
			names = append(names, r.Interface)
		}
	}
	return names
}

// promises are those of SECURITY.md.
func (s *siege) promises() {
	s.Helper()
	s.world.Unchanged(s.T)
	now := s.readSysctls()
	for path, was := range s.sysctls {
		if now[path] != was {
			s.Errorf("the host's %s is %q, was %q", path, now[path], was)
		}
	}
	nstest.Ping(s.T, s.honest[0].g.Handle, s.honest[1].spec.Addrs[0].Addr().String())
	nstest.Ping(s.T, s.honest[1].g.Handle, s.honest[0].spec.Addrs[1].Addr().String())
	for _, h := range s.honest {
		at, err := pipework.Check(s.Context(), s.plugger.Target(h.ref), h.spec)
		if err != nil || len(at.Drifts) > 0 {
			s.Errorf("honest guest %s: %+v, %v", h.ref, at, err)
		}
	}
	if files, _ := filepath.Glob("/run/pipework-nics/*"); len(files) > 0 {
		s.Errorf("records of NICs: %v", files)
	}
}

// readSysctls are the host's settings below /proc/sys/net of what every link shares, and of
// the links that stay.
func (s *siege) readSysctls() map[string]string {
	s.Helper()
	all := map[string]string{}
	for _, dir := range []string{"all", "default", "lo", "br1", "br2", "nic0"} {
		for _, family := range []string{"ipv4", "ipv6"} {
			files, err := filepath.Glob("/proc/sys/net/" + family + "/conf/" + dir + "/*")
			keeptest.Must(s.T, err)
			for _, path := range append(files, "/proc/sys/net/ipv4/ip_forward") {
				if text, err := os.ReadFile(path); err == nil && !strings.HasSuffix(path, "/stable_secret") {
					all[path] = string(text)
				}
			}
		}
	}
	return all
}

// The bounds of what others may wait for an attacker, and of memory.
const (
	waitFactor = 20
	waitMost   = 10 * time.Second
	heapMost   = 128 << 20
)

// close ends the siege, and prints its counts.
func (s *siege) close(done map[string]attacker.Count) {
	s.Helper()
	for _, name := range slices.Sorted(maps.Keys(done)) {
		s.Logf("attacker: %-28s %6d done, %6d refused", name, done[name].Done, done[name].Refused)
	}
	for _, name := range slices.Sorted(maps.Keys(s.counts)) {
		s.Logf("calls:    %-28s %6d", name, s.counts[name])
	}
	worst := slices.Max(s.took)
	s.Logf("calls for an honest guest: median %v, longest %v; %v before the attack", median(s.took), worst, s.calm)
	if bound := waitFactor*s.calm + 100*time.Millisecond; median(s.took) > bound || worst > waitMost {
		s.Errorf("honest guests wait: median %v (bound %v), longest %v (bound %v)", median(s.took), bound, worst, waitMost)
	}
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.Logf("heap: %d KiB in use, %d KiB at most from the system", m.HeapInuse>>10, m.HeapSys>>10)
	if m.HeapSys > heapMost {
		s.Errorf("the heap grew to %d MiB", m.HeapSys>>20)
	}
}

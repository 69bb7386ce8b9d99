//go:build linux

package pipework_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// guests makes n guests for the length of the test.
func guests(t testing.TB, n int) (targets []ns.Named, opened []*ns.Handle) {
	t.Helper()
	for range n {
		target, g := nstest.Guest(t)
		targets, opened = append(targets, target), append(opened, g.Handle)
	}
	return targets, opened
}

// onBridge is a job for a guest on the bridge br1, with an address of its own.
func onBridge(t pipework.Target, name string, n int) pipework.Job {
	addr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 7, byte(n / 250), byte(n%250 + 1)}), 16)
	return pipework.Job{Target: t, Spec: pipework.Spec{Link: link.Bridge{Name: "br1"}, Name: name, Addrs: []netip.Prefix{addr}}}
}

// TestAttachAllEachAlone has good jobs beside bad ones of every stage: the good are
// done, the bad are told apart, and nothing of them is left.
func TestAttachAllEachAlone(t *testing.T) {
	targets, opened := guests(t, 4)
	before := nstest.Observe(t, opened...)
	wrong := onBridge(targets[3], "eth1", 9)
	wrong.Spec.MTU = 1
	absent := onBridge(targets[3], "eth1", 9)
	absent.Spec.Link = link.Bridge{Name: "lan"}
	jobs := []pipework.Job{
		onBridge(targets[0], "eth1", 0),
		wrong,
		onBridge(ns.Named("nobody"), "eth1", 1),
		onBridge(targets[1], "eth1", 2),
		onBridge(targets[1], "eth1", 3), // in use by the one before
		onBridge(targets[0], "eth1", 0), // the first one again
		absent,
		onBridge(targets[0], "eth2", 4),
		{Spec: pipework.Spec{Link: link.Bridge{Name: "br1"}}}, // no target
	}
	want := []error{nil, fs.ErrInvalid, fs.ErrNotExist, nil, fs.ErrExist, nil, fs.ErrNotExist, nil, fs.ErrInvalid}
	out, err := pipework.AttachAll(t.Context(), jobs)
	var failed pipework.JobErrors
	if !errors.As(err, &failed) || len(failed) != len(jobs) || len(out) != len(jobs) {
		t.Fatal(err)
	}
	for i, is := range want {
		if !errors.Is(failed[i], is) || (out[i] == nil) != (is != nil) {
			t.Errorf("jobs[%d]: %v, %v, want %v", i, out[i], failed[i], is)
		}
	}
	if out[0].Existed || !out[5].Existed {
		t.Errorf("existed: %v, %v", out[0].Existed, out[5].Existed)
	}
	text := err.Error()
	for _, says := range []string{"5 of 9 jobs failed", "jobs[1]: attach eth1: MTU 1", "; jobs[2]: attach eth1: no network namespace", "jobs[8]: attach eth1: no target"} {
		if !strings.Contains(text, says) || strings.Contains(text, "\n") {
			t.Errorf("%s does not say %q", text, says)
		}
	}
	if _, err := pipework.Check(t.Context(), targets[3], pipework.Spec{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a guest that only failed jobs name:", err)
	}
	nstest.Ping(t, opened[0], "10.7.0.3")
	if found, err := pipework.DetachAll(t.Context(), jobs[:1]); err != nil || !found[0] {
		t.Error(found, err)
	}
	// One guest is gone, one interface is gone, one is named twice.
	found, err := pipework.DetachAll(t.Context(), append(jobs[2:6:6], jobs[7]))
	if err != nil || !slices.Equal(found, []bool{false, true, false, false, true}) {
		t.Error(found, err)
	}
	before.Unchanged(t)
	if out, err := pipework.AttachAll(t.Context(), nil); len(out) != 0 || err != nil {
		t.Error(out, err)
	}
}

// TestJobErrorsTellFew keeps the line readable when hundreds fail.
func TestJobErrorsTellFew(t *testing.T) {
	all := make(pipework.JobErrors, 300)
	for i := range all {
		all[i] = fmt.Errorf("error %d", i)
	}
	all[1] = nil
	if text := all.Error(); !strings.HasPrefix(text, "299 of 300 jobs failed: jobs[0]: error 0; jobs[2]: error 2; ") || !strings.HasSuffix(text, "jobs[8]: error 8; and 291 more") {
		t.Error(text)
	}
	if !errors.Is(all, all[299]) {
		t.Error("the last error is not to be found")
	}
}

// TestAttachAllMeetsItself runs calls for the same guests, in opposite orders, at
// the same time, and calls for single ones between: none waits for another that
// waits for it.
func TestAttachAllMeetsItself(t *testing.T) {
	targets, opened := guests(t, 20)
	world := nstest.Observe(t, opened...)
	var forth, back []pipework.Job
	for i, target := range targets {
		forth = append(forth, onBridge(target, "eth1", i))
		back = append([]pipework.Job{onBridge(target, "eth1", i), onBridge(target, "eth2", 100+i)}, back...)
	}
	start := time.Now()
	for range 3 {
		var wg sync.WaitGroup
		for _, jobs := range [][]pipework.Job{forth, back, forth} {
			wg.Go(func() {
				if _, err := pipework.AttachAll(t.Context(), jobs); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			for _, j := range forth {
				if _, err := pipework.Attach(t.Context(), j.Target, j.Spec); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Wait()
		for _, jobs := range [][]pipework.Job{back, forth, back} {
			wg.Go(func() {
				if _, err := pipework.DetachAll(t.Context(), jobs); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if took := time.Since(start); took > 2*testwait.Patience {
		t.Errorf("took %v", took)
	}
	world.Unchanged(t)
}

// TestAttachAllWaitsForNone has one guest that somebody else is at work on: the
// others are done meanwhile, and it after them.
func TestAttachAllWaitsForNone(t *testing.T) {
	targets, opened := guests(t, 3)
	world := nstest.Observe(t, opened...)
	var jobs []pipework.Job
	for i, target := range targets {
		jobs = append(jobs, onBridge(target, "eth1", i))
	}
	busy := func(do func() error, others func() error) {
		t.Helper()
		unlock, err := opened[1].Lock(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- do() }()
		testwait.Eventually(t, "the other guests are done", func() bool { return others() == nil })
		select {
		case err := <-done:
			t.Error("did not wait for the guest:", err)
		default:
		}
		unlock()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	busy(func() error { _, err := pipework.AttachAll(t.Context(), jobs); return err }, func() error {
		_, one := pipework.Check(t.Context(), targets[0], jobs[0].Spec)
		_, two := pipework.Check(t.Context(), targets[2], jobs[2].Spec)
		return errors.Join(one, two)
	})
	busy(func() error { _, err := pipework.DetachAll(t.Context(), jobs); return err }, func() error {
		for _, i := range []int{0, 2} {
			if _, err := pipework.Check(t.Context(), targets[i], jobs[i].Spec); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("still there: %w", err)
			}
		}
		return nil
	})
	world.Unchanged(t)
}

// TestDetachAllIsExact has neighbours in the default link group, and in one of
// somebody else's: DetachAll, which removes links by their group, leaves them.
func TestDetachAllIsExact(t *testing.T) {
	addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
	targets, opened := guests(t, 12)
	var jobs []pipework.Job
	for i, target := range targets {
		job := onBridge(target, "eth1", i)
		job.Spec.Link = link.Bridge{Name: "lan"}
		jobs = append(jobs, job)
	}
	stay, goes := jobs[:2], jobs[2:]
	out, err := pipework.AttachAll(t.Context(), stay)
	if err != nil {
		t.Fatal(err)
	}
	setGroup(t, out[0].HostName, 77)
	world := nstest.Observe(t, opened...)
	if _, err := pipework.AttachAll(t.Context(), goes); err != nil {
		t.Fatal(err)
	}
	if _, err := pipework.DetachAll(t.Context(), goes); err != nil {
		t.Fatal(err)
	}
	world.Unchanged(t)
	if _, err := pipework.DetachAll(t.Context(), stay); err != nil {
		t.Error(err)
	}
}

// TestDelLinksGroupInUse asks for links to be removed by a group in which somebody
// else's link is: nothing is removed, and all are in the groups they were in.
func TestDelLinksGroupInUse(t *testing.T) {
	for _, name := range []string{"mine1", "mine2", "other"} {
		addBridge(t, &netlink.Bridge{LinkAttrs: attrs(name)})
	}
	const group = 5
	setGroup(t, "other", group)
	setGroup(t, "mine2", 6)
	conn, err := ns.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	groups := func() (links []*rtnl.Link, groups []uint32) {
		for _, name := range []string{"mine1", "mine2", "other"} {
			l, err := rtnl.LinkByName(t.Context(), conn, name)
			if err != nil {
				t.Fatal(err)
			}
			links, groups = append(links, l), append(groups, l.Group)
		}
		return links[:2], groups
	}
	mine, _ := groups()
	if err := rtnl.DelLinks(t.Context(), conn, mine, group); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "other") {
		t.Error(err)
	}
	if _, after := groups(); !slices.Equal(after, []uint32{0, 6, group}) {
		t.Errorf("groups %v", after)
	}
}

// BenchmarkMany plugs 200 guests in and out, one by one and together, on a bridge
// that is there, under Docker's firewall. Each figure is for all of them.
func BenchmarkMany(b *testing.B) {
	crowd(b, 2)
	targets, _ := guests(b, 200)
	var jobs []pipework.Job
	for i, target := range targets {
		job := onBridge(target, "eth1", i)
		job.Spec.Link = link.Bridge{Name: "br9"}
		jobs = append(jobs, job)
	}
	times := map[string]time.Duration{}
	measure := func(what string, f func() error) {
		start := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		times[what] += time.Since(start)
	}
	for b.Loop() {
		measure("attach", func() (err error) {
			for _, j := range jobs {
				_, one := pipework.Attach(b.Context(), j.Target, j.Spec)
				err = errors.Join(err, one)
			}
			return err
		})
		measure("detachall", func() error { _, err := pipework.DetachAll(b.Context(), jobs); return err })
		measure("attachall", func() error { _, err := pipework.AttachAll(b.Context(), jobs); return err })
		measure("detach", func() (err error) {
			for _, j := range jobs {
				_, ended := pipework.Detach(b.Context(), j.Target, j.Spec)
				err = errors.Join(err, ended)
			}
			return err
		})
	}
	for what, sum := range times {
		b.ReportMetric(float64(sum.Microseconds())/float64(b.N)/1000, what+"-ms")
	}
}

// TestAttachAllElsewhere plugs in from a thread that was moved: those who work for
// it run on other threads, which must be where they were afterwards.
func TestAttachAllElsewhere(t *testing.T) {
	_, host := nstest.Guest(t)
	var jobs []pipework.Job
	for range 8 {
		target, _ := nstest.Guest(t)
		jobs = append(jobs, pipework.Job{Target: target, Spec: pipework.Spec{Link: link.Bridge{Name: "br7"}}})
	}
	home := threadNamespace(t)
	err := host.Do(t.Context(), func() error {
		out, err := pipework.AttachAll(t.Context(), jobs)
		if err == nil && out[0].HostName == "" {
			t.Error("no host end")
		}
		_, ended := pipework.DetachAll(t.Context(), jobs)
		return errors.Join(err, ended)
	})
	must(t, err)
	var wg sync.WaitGroup
	ready := make(chan struct{})
	for range 64 {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			<-ready // so that each has a thread of its own
			if now := threadNamespace(t); now != home {
				t.Errorf("a thread is in namespace %v, not in %v", now, home)
			}
		})
	}
	close(ready)
	wg.Wait()
}

func threadNamespace(t *testing.T) ns.Inode {
	t.Helper()
	h, err := ns.Current()
	if err != nil {
		t.Error(err)
		return ns.Inode{}
	}
	defer func() { _ = h.Close() }()
	return h.Inode()
}

// TestPointersToBackends has every call take one for what it points to.
func TestPointersToBackends(t *testing.T) {
	targets, opened := guests(t, 3)
	world := nstest.Observe(t, opened...)
	bridge := &link.Bridge{Name: "br1"}
	s := pipework.Spec{Link: bridge}
	var jobs []pipework.Job
	for _, target := range targets {
		jobs = append(jobs, pipework.Job{Target: target, Spec: s})
	}
	_, err := pipework.AttachAll(t.Context(), jobs)
	must(t, err)
	if at := attach(t, targets[0], pipework.Spec{Link: link.Bridge{Name: "br1"}}); !at.Existed {
		t.Error("a pointer to it made something else")
	}
	_, err = pipework.Check(t.Context(), targets[0], s)
	must(t, err)
	_, err = pipework.DetachAll(t.Context(), jobs)
	must(t, err)
	world.Unchanged(t)
	attach(t, targets[0], s)
	detach(t, targets[0], s)
	for _, nothing := range []link.Backend{(*link.Bridge)(nil), (*link.Macvlan)(nil)} {
		if _, err := pipework.Attach(t.Context(), targets[0], pipework.Spec{Link: nothing}); !errors.Is(err, fs.ErrInvalid) {
			t.Error(err)
		}
		detach(t, targets[0], pipework.Spec{Link: nothing})
	}
	text, err := json.Marshal(s)
	if must(t, err); string(text) != `{"link":{"bridge":{"name":"br1"}}}` {
		t.Error(string(text))
	}
	world.Unchanged(t)
}

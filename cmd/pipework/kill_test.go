//go:build linux

package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
)

// TestKilled kills the command at random moments, and has the next call put right
// what is left: then nothing is there, on the host, in the guest and among the
// records, or the attachment is complete.
func TestKilled(t *testing.T) {
	b := newBench(t)
	b.kills(200,
		words("br1 G 10.7.0.2/24@10.7.0.1"),                        // a bridge that is made
		words("lan -l hostend G 10.7.0.2/24,10.8.0.2/32@10.9.9.9"), // one that is there
		words("eth5 G 10.7.0.2/24@10.7.0.1 02:00:00:00:00:01"),     // a macvlan
	)
}

// TestKilledOVS does so with bridges of Open vSwitch, and looks at its database.
func TestKilledOVS(t *testing.T) {
	db := ovstest.Start(t)
	db.Switch(t, ovstest.Dummy, nil)
	db.Standard(t)
	db.Vsctl(t, "add-br", "ovs1", "--", "set", "bridge", "ovs1", "datapath_type=dummy")
	b := newBench(t)
	before := db.Dump(t)
	b.unchanged = func() {
		if diff := cmp.Diff(before, db.Dump(t)); diff != "" {
			t.Errorf("Open vSwitch (-before +after):\n%s", diff)
		}
	}
	b.kills(40, words("ovs1 G 10.7.0.2/24 @100"), words("ovs1 -l hostend G 10.7.0.2/24@10.7.0.1"))
}

// kills kills calls that attach by one of these lines, and calls that detach; G
// stands for the guest.
func (b *bench) kills(rounds int, lines ...[]string) {
	if os.Getenv("PIPEWORK_LANE") != "" || testing.Short() { // a slow machine, of which the kernel is to be seen
		rounds /= 8
	}
	if n, err := strconv.Atoi(os.Getenv("PIPEWORK_KILLS")); err == nil {
		rounds = n
	}
	for _, line := range lines {
		line[slices.Index(line, "G")] = b.guest
	}
	b.time(lines[0])
	for i := range rounds {
		line := lines[i%len(lines)]
		if i/len(lines)%2 == 0 {
			b.killAttach(line, i)
		} else {
			b.killDetach(line, i)
		}
		if b.Failed() {
			b.Fatalf("round %d: %s", i, line)
		}
	}
	b.Logf("%d calls killed: %d before they wrote a record, %d after that, %d when they had ended; one takes %v", rounds,
		b.early, b.inside, b.late, b.takes)
}

func words(line string) []string { return strings.Fields(line) }

// A bench is one guest, and a world that must not change.
type bench struct {
	*testing.T
	guest string
	state string
	world *nstest.World
	takes time.Duration // of one call
	// From the first record to the end.
	attaches, detaches time.Duration

	unchanged           func() // wants what else there is to be as it was
	early, inside, late int
}

func newBench(t *testing.T) *bench {
	state := filepath.Join(t.TempDir(), "state")
	t.Setenv("PIPEWORK_STATE", state)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // a second, otherwise
	named, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	hostLinks(t)
	return &bench{T: t, guest: "netns:" + string(named), state: state, world: nstest.Observe(t, g.Handle), unchanged: func() {}}
}

// hostLinks makes a bridge lan and a NIC eth5.
func hostLinks(t *testing.T) {
	t.Helper()
	h := onHost(t)
	named := func(name string) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		a.Name = name
		return a
	}
	lan := named("lan") // a MAC that nobody set follows the ports'
	lan.HardwareAddr = []byte{2, 0, 0, 0, 0xaa, 0xaa}
	for _, l := range []netlink.Link{&netlink.Bridge{LinkAttrs: lan}, &netlink.Veth{LinkAttrs: named("eth5"), PeerName: "eth5-wire"}} {
		if err := h.LinkAdd(l); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.LinkDel(l) })
	}
	for _, name := range []string{"lan", "eth5", "eth5-wire"} {
		l, err := h.LinkByName(name)
		if err == nil {
			err = h.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// run is one call of the command that nobody kills, in this process.
func (b *bench) run(args ...string) (out string) {
	b.Helper()
	var buf bytes.Buffer
	if err := run(b.Context(), args, &buf, io.Discard); err != nil {
		b.Errorf("pipework %s: %v\n%s", strings.Join(args, " "), err, &buf)
	}
	return buf.String()
}

// time learns how long calls take, and how long from the first record on.
func (b *bench) time(line []string) {
	for range 3 {
		b.takes, b.attaches = b.timeOne(line)
		_, b.detaches = b.timeOne([]string{"detach", b.guest})
	}
}

func (b *bench) timeOne(args []string) (all, atWork time.Duration) {
	before, begun := b.stamp(), time.Now()
	cmd := b.start(args)
	b.await(before)
	wrote := time.Now()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begun), time.Since(wrote)
}

func (b *bench) start(args []string) *exec.Cmd {
	cmd := exec.Command("pipework", args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return cmd
}

// await waits until the records have changed.
func (b *bench) await(before string) {
	for end := time.Now().Add(5 * time.Second); b.stamp() == before && time.Now().Before(end); {
		time.Sleep(20 * time.Microsecond)
	}
}

// kill starts the command and kills it: at a moment of all the time that it takes,
// or, since most of that is its start, after it began to write a record.
func (b *bench) kill(round int, atWork time.Duration, args []string) {
	before := b.stamp()
	cmd := b.start(args)
	if round%4 == 0 {
		time.Sleep(rand.N(b.takes * 6 / 5))
	} else {
		b.await(before)
		time.Sleep(rand.N(atWork / 2)) // the end of a process takes time, too
	}
	_ = cmd.Process.Kill()
	err := cmd.Wait()
	switch {
	case err == nil:
		b.late++
	case b.stamp() == before:
		b.early++
	default:
		b.inside++
	}
}

// stamp changes with the records.
func (b *bench) stamp() (s string) {
	entries, _ := os.ReadDir(b.state)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Name() != ".lock" && e.Name() != ".pipework" {
			s += e.Name() + info.ModTime().String()
		}
	}
	return s
}

func (b *bench) killAttach(line []string, round int) {
	b.Helper()
	b.kill(round, b.attaches, line)
	typed := round%8 == 7 // again, instead of gc
	if typed {
		b.run(line...)
		if b.run("check") == "nothing is declared\n" {
			b.Error("it is not there")
		}
	} else {
		b.run("gc")
	}
	b.settled(typed)
}

func (b *bench) killDetach(line []string, round int) {
	b.Helper()
	b.run(line...)
	b.kill(round, b.detaches, []string{"detach", b.guest})
	typed := round%8 == 7
	if typed {
		b.run("detach", b.guest)
	} else {
		b.run("gc")
	}
	b.settled(typed)
}

// settled wants the attachment to be complete, or nothing to be there.
func (b *bench) settled(typed bool) {
	b.Helper()
	there := b.run("check") != "nothing is declared\n"
	if there {
		b.run("detach", b.guest)
	}
	b.world.Unchanged(b)
	b.unchanged()
	if typed {
		b.run("gc") // takes away what was being written
	}
	if left := b.stamp(); left != "" {
		b.Errorf("left among the records: %s", left)
	}
	if b.Failed() {
		b.Logf("it was complete: %v", there)
	}
}

func onHost(t *testing.T) *netlink.Handle {
	t.Helper()
	h, err := netlink.NewHandle()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// TestKilledAddition kills further lines for an interface that is there: what they were
// adding is there and declared after gc, or neither.
func TestKilledAddition(t *testing.T) {
	b := newBench(t)
	rounds := 40
	if os.Getenv("PIPEWORK_LANE") != "" || testing.Short() {
		rounds = 8
	}
	base, further := words("br1 G 10.7.0.2/24"), words("br1 G 10.8.0.2/24@10.8.0.1")
	for _, line := range [][]string{base, further} {
		line[slices.Index(line, "G")] = b.guest
	}
	b.run(base...)
	b.takes, b.attaches = b.timeOne(further)
	b.run("detach", b.guest)
	added := 0
	for i := range rounds {
		b.run(base...)
		b.kill(i, b.attaches, further)
		b.run("gc")
		there, declared := strings.Contains(b.run("list"), "10.8.0.2/24"), strings.Contains(b.run("check", "--json"), `"10.8.0.1"`)
		if there != declared {
			b.Fatalf("round %d: there %v, declared %v", i, there, declared)
		}
		if there {
			added++
		}
		b.run("detach", b.guest)
		b.world.Unchanged(b)
	}
	b.Logf("%d of %d are there", added, rounds)
}

//go:build linux

package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework/internal/nstest"
)

// TestKilled kills the command at random moments, and has the next call put right
// what is left: then nothing is there, on the host, in the guest and among the
// records, or the attachment is complete.
func TestKilled(t *testing.T) {
	const rounds = 200
	bench := newBench(t)
	lines := [][]string{
		words("br1 netns:G 10.7.0.2/24@10.7.0.1"),                        // a bridge that is made
		words("lan -l hostend netns:G 10.7.0.2/24,10.8.0.2/32@10.9.9.9"), // one that is there
		words("eth5 netns:G 10.7.0.2/24@10.7.0.1 02:00:00:00:00:01"),     // a macvlan
	}
	for _, line := range lines {
		for i, word := range line {
			line[i] = strings.ReplaceAll(word, "netns:G", bench.guest)
		}
	}
	bench.time(lines[0])
	for i := range rounds {
		line := lines[i%len(lines)]
		if i/len(lines)%2 == 0 {
			bench.killAttach(line, i)
		} else {
			bench.killDetach(line, i)
		}
		if t.Failed() {
			t.Fatalf("round %d: %s", i, line)
		}
	}
	t.Logf("%d calls killed: %d before they began to work, %d at work, %d when they had ended; one takes %v", rounds,
		bench.early, bench.inside, bench.late, bench.takes)
}

func words(line string) []string { return strings.Fields(line) }

// A bench is one guest, and a world that must not change.
type bench struct {
	*testing.T
	guest string
	state string
	world *nstest.World
	takes time.Duration // of one call

	early, inside, late int
}

func newBench(t *testing.T) *bench {
	state := filepath.Join(t.TempDir(), "state")
	t.Setenv("PIPEWORK_STATE", state)
	named, g := nstest.Guest(t)
	nstest.Uplink(t, g)
	hostLinks(t)
	return &bench{T: t, guest: "netns:" + string(named), state: state, world: nstest.Observe(t, g.Handle)}
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

// time learns how long a call takes.
func (b *bench) time(line []string) {
	for range 3 {
		begun := time.Now()
		if out, err := exec.Command("pipework", line...).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		b.takes = time.Since(begun)
		b.run("detach", b.guest)
	}
}

// kill starts the command and kills it: at a moment of all the time that it takes,
// or, since most of that is its start, after it began to write a record.
func (b *bench) kill(round int, args []string) {
	before := b.stamp()
	cmd := exec.Command("pipework", args...)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if round%2 == 0 {
		time.Sleep(rand.N(b.takes * 6 / 5))
	} else {
		for end := time.Now().Add(5 * time.Second); b.stamp() == before && time.Now().Before(end); {
			time.Sleep(20 * time.Microsecond)
		}
		time.Sleep(rand.N(b.takes / 4))
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
		if info, err := e.Info(); err == nil && e.Name() != ".lock" {
			s += e.Name() + info.ModTime().String()
		}
	}
	return s
}

func (b *bench) killAttach(line []string, round int) {
	b.Helper()
	b.kill(round, line)
	if round%8 == 7 { // typed again instead
		b.run(line...)
	} else {
		b.run("gc")
	}
	b.settled(round%8 == 7)
}

func (b *bench) killDetach(line []string, round int) {
	b.Helper()
	b.run(line...)
	b.kill(round, []string{"detach", b.guest})
	if round%8 == 7 {
		b.run("detach", b.guest)
	} else {
		b.run("gc")
	}
	b.settled(false)
}

// settled wants the attachment to be complete, or nothing to be there.
func (b *bench) settled(complete bool) {
	b.Helper()
	there := b.run("check") != "nothing is declared\n"
	switch {
	case there:
		b.run("detach", b.guest)
	case complete:
		b.Error("it is not there")
	}
	b.world.Unchanged(b)
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

//go:build linux

package pipework_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/pintest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/link/firewall"
	"github.com/go-pipework/pipework/ns"
)

// throughIFB has what a guest sends by eth1 come out of an ifb device of its own, so that no
// classifier of the host's sees it: of each frame by chance, for a frame that meets the
// redirection twice is classified after all.
func throughIFB(t *testing.T, g *ns.Guest) {
	t.Helper()
	for _, line := range []string{
		"ip link add ifb0 type ifb", "ip link set ifb0 up", "tc qdisc add dev eth1 clsact",
		"tc filter add dev eth1 egress pref 1 protocol all bpf bytecode 3,32|0|0|4294963256,84|0|0|1,22|0|0|0 action mirred egress redirect dev ifb0",
	} {
		words := strings.Fields(line)
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "|", " ")
		}
		ip(t, g, words...)
	}
}

// untagged are the attacks with frames whose every byte is heard.
func untagged() map[string][]byte {
	all := pintest.Attacks()
	maps.DeleteFunc(all, func(name string, _ []byte) bool { return strings.HasPrefix(name, "tagged") })
	return all
}

// holds says whether this kernel can hold a guest with CAP_NET_ADMIN to its pin, which the
// warnings tell; the kernel of a lane can.
func holds(t *testing.T, at *pipework.Attachment) bool {
	t.Helper()
	if len(at.Warnings) == 0 {
		return true
	}
	if os.Getenv("PIPEWORK_LANE") != "" || len(at.Warnings) > 1 || !strings.Contains(at.Warnings[0], "can get around its pin: this kernel lacks") {
		t.Errorf("warnings: %q", at.Warnings)
	}
	return false
}

// TestPinHoldsAgainstIFB has a guest that may do all in its namespace send its frames by an ifb
// device. Where the kernel cannot hold it to its pin, it is told, and true.
func TestPinHoldsAgainstIFB(t *testing.T) {
	s := newScene(t)
	defer s.end()
	at := attach(t, s.target, eveSpec())
	throughIFB(t, s.eve)
	defer ip(t, s.eve, "ip", "link", "delete", "ifb0")
	all := slices.Sorted(maps.Keys(untagged()))
	if !holds(t, at) {
		if diff := cmp.Diff(all, pintest.Often(t, s.eve, s.near, untagged())); diff != "" {
			t.Errorf("what passes (-sent +heard):\n%s", diff)
		}
		return
	}
	if got := pintest.Often(t, s.eve, s.near, untagged()); len(got) > 0 {
		t.Errorf("heard: %q", got)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(pintest.Honest())), pintest.Often(t, s.eve, s.near, pintest.Honest())); diff != "" {
		t.Errorf("what has to pass (-sent +heard):\n%s", diff)
	}

	// Somebody loads a firewall of his own.
	var nft nftables.Conn
	nft.FlushRuleset()
	if err := nft.Flush(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, pintest.Often(t, s.eve, s.near, untagged())); diff != "" {
		t.Errorf("without the table (-sent +heard):\n%s", diff)
	}
	checked, err := pipework.Check(t.Context(), s.target, eveSpec())
	if err != nil || len(checked.Drifts) != 1 || !strings.Contains(checked.Drifts[0], "(pin)") {
		t.Errorf("without the table: %+v, %v", checked, err)
	}
	if at := attach(t, s.target, eveSpec()); len(at.Mended) != 1 {
		t.Errorf("mended %q", at.Mended)
	}
	if got := pintest.Often(t, s.eve, s.near, untagged()); len(got) > 0 {
		t.Errorf("mended, heard: %q", got)
	}
}

// TestPinHoldsTillTheLast has the table be there as long as a guest is pinned, also when guests
// die, and when they are pinned and let be by updates.
func TestPinHoldsTillTheLast(t *testing.T) {
	first, g := nstest.Guest(t)
	other, dying := nstest.Process(t), nstest.Process(t)
	world := nstest.Observe(t, g.Handle)
	at := attach(t, first, eveSpec())
	if !holds(t, at) {
		detach(t, first, eveSpec())
		world.Unchanged(t)
		return
	}
	spec := eveSpec()
	spec.MAC = nil
	end := attach(t, ns.PID(other.PID), spec).HostName
	there(t, true)
	free := eveSpec()
	free.Pin = false
	update(t, first, free)
	there(t, true)
	update(t, first, eveSpec())
	must(t, other.Kill())
	testwait.Eventually(t, "its pair is gone", func() bool { return nstest.NoLink(t, end) == nil })
	there(t, true)
	update(t, first, free)
	there(t, false)
	update(t, first, eveSpec())
	there(t, true)
	detach(t, first, eveSpec())
	there(t, false)

	attach(t, ns.PID(dying.PID), spec)
	must(t, dying.Kill())
	what := func(c link.Collected) bool { return c.Kind == "nftables table" && c.Name == firewall.PortsTable }
	testwait.Eventually(t, "the table is an orphan", func() bool {
		names, err := pipework.Orphans(t.Context())
		return err == nil && slices.ContainsFunc(names, what)
	})
	if names, err := pipework.Collect(t.Context()); err != nil || !slices.ContainsFunc(names, what) {
		t.Errorf("collected %q, %v", names, err)
	}
	there(t, false)
	world.Unchanged(t)
}

// there fails unless the table is there, or is not.
func there(t *testing.T, want bool) {
	t.Helper()
	var nft nftables.Conn
	tables, err := nft.ListTablesOfFamily(nftables.TableFamilyBridge)
	if err != nil {
		t.Fatal(err)
	}
	is := slices.ContainsFunc(tables, func(table *nftables.Table) bool { return table.Name == firewall.PortsTable })
	if is != want {
		t.Errorf("the table is there: %v, want %v", is, want)
	}
}

//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/internal/testwait"
)

// TestKilledUplink kills the command at random moments of a move that is to be confirmed: nobody
// types anything, and the host is what it was once the time is over.
func TestKilledUplink(t *testing.T) {
	b := newBench(t)
	sh(t, "ip addr add 10.5.0.2/24 dev eth5; ip addr add fd05::2/64 dev eth5 nodad; ip route add 10.55.0.0/16 via 10.5.0.1; ip route add default via 10.5.0.1 table 100; ip rule add from 10.5.0.2 table 100")
	t.Cleanup(func() { sh(t, "ip rule del from 10.5.0.2 table 100") })
	changing := regexp.MustCompile(`(valid_lft|preferred_lft|expires) +\S+`)
	host := func() string {
		return changing.ReplaceAllString(sh(t, "ip -d addr show eth5; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule; ls /sys/class/net /proc/sys/net/ipv4/conf"), "")
	}
	testwait.Eventually(t, "both ends of the wire have their link-local addresses", func() bool {
		return strings.Count(sh(t, "ip -6 route show table local type local"), "fe80::") == 2 && !strings.Contains(host(), "tentative")
	})
	before := host()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(cmp.Diff(before, host()))
		}
	})
	line := []string{"uplink", "br0", "eth5", "--confirm", "300ms"}
	undone := func() bool {
		waiting, err := filepath.Glob(filepath.Join(b.state, "unconfirmed.*"))
		return err == nil && len(waiting) == 0 && host() == before
	}
	for range 2 {
		b.takes, b.attaches = b.timeOne(line)
		testwait.Eventually(t, "it is undone, as nobody confirms", undone)
	}
	rounds := 12
	if testing.Short() || os.Getenv("PIPEWORK_LANE") != "" {
		rounds = 4
	}
	for i := range rounds {
		b.kill(i, 3*b.attaches/2, line)
		testwait.Eventually(t, "the host is as before", func() bool { return host() == before })
		testwait.Eventually(t, "nothing waits", func() bool {
			// Of a call that was killed before it started who undoes it there is the record alone.
			return undone() || exec.Command("pipework", "uplink", "--undo", "br0", "eth5").Run() == nil
		})
		if all, _ := filepath.Glob(filepath.Join(b.state, "uplink.*")); len(all) > 0 {
			b.run("uplink", "--undo", "br0", "eth5")
		}
		if is := host(); is != before {
			t.Fatalf("round %d: the host is not as before:\n%s\nbut\n%s", i, before, is)
		}
	}
	t.Logf("%d killed before they wrote a record, %d after that, %d when they had ended; one takes %v", b.early, b.inside, b.late, b.takes)
}

func sh(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

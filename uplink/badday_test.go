//go:build linux

package uplink_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/uplink"
)

// TestOneNICTwice has two calls put one NIC under two bridges at once: the second one waits for the
// first.
func TestOneNICTwice(t *testing.T) {
	s := newScene(t)
	before := s.snapshot(t)
	other, tried := s.plan, false
	other.Bridge = "br1"
	ctx := fault.With(t.Context(), func(step string) error {
		if tried || step != "write record of uplink" {
			return nil
		}
		tried = true
		short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := uplink.Move(short, other); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the second call, in the middle of the first: %v", err)
		}
		return nil
	})
	if _, err := uplink.Move(ctx, s.plan); err != nil {
		t.Error(err)
	}
	if !tried {
		t.Error("there was no second call")
	}
	nstest.Ping(t, s.remote.Handle, "10.0.0.2")
	undoAll(t, s)
	s.unchanged(t, before)
}

// TestUnguarded has a move that nobody confirmed in time, whose guard was killed, be a drift that is
// mended: by an undo.
func TestUnguarded(t *testing.T) {
	s := newScene(t)
	before := s.snapshot(t)
	s.plan.Confirm = time.Millisecond
	if _, err := uplink.Move(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	var all []uplink.Status
	testwait.Eventually(t, "it is a drift", func() bool {
		var err error
		if all, err = uplink.List(t.Context(), s.plan); err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0].State == keep.Drifted
	})
	if mended, err := uplink.Mend(t.Context(), s.plan); err != nil || len(mended) != 1 || mended[0] != all[0].Details[0] {
		t.Errorf("%q, %v, of %q", mended, err, all[0].Details)
	}
	if mended, err := uplink.Mend(t.Context(), s.plan); err != nil || len(mended) > 0 {
		t.Errorf("%q, %v", mended, err)
	}
	s.unchanged(t, before)
}

// TestDamagedRecord: what is no record of ours is an error, changes nothing, and ends nothing.
func TestDamagedRecord(t *testing.T) {
	s := newScene(t)
	if _, err := uplink.Move(t.Context(), s.plan); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(s.plan.Store.Dir(), "uplink.br0.*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	good, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	before := s.snapshot(t)
	changed := func(key, value string) string {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(good, &fields); err != nil {
			t.Fatal(err)
		}
		fields[key] = json.RawMessage(value)
		b, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, text := range []string{
		"", "null", "{}", "[]", string(good[:len(good)/2]), strings.Repeat("[", 100000), "\x00\x00",
		changed("addrs", `["AA=="]`), changed("addrs", `[""]`), changed("addrs", `["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]`),
		changed("routes", `["AA=="]`), changed("routes", `[null]`), changed("neighbours", `["AA=="]`), changed("neighbours", `[""]`),
		changed("taken", `{}`), changed("taken", `{"client": {"name": "dhcpcd", "processes": []}, "lease": {}}`), changed("taken", `{"client": {"name": "dhcpcd", "processes": [{"pid": -1}]}}`),
		changed("phase", `"x"`), changed("phase", `""`), changed("nic", `"../../x"`), changed("nic", `""`), changed("bridge", `"br1"`),
	} {
		if err := os.WriteFile(found[0], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%.60q", text)
		_, list := uplink.List(t.Context(), s.plan)
		_, leases := uplink.Leases(t.Context(), s.plan.Store, s.plan.Host)
		_, mend := uplink.Mend(t.Context(), s.plan)
		_, undo := uplink.Undo(t.Context(), s.plan)
		t.Log(name, "list:", list, "leases:", leases, "mend:", mend, "undo:", undo)
		if undo == nil || s.snapshot(t) != before {
			t.Errorf("%s: undone", name)
			s.unchanged(t, before)
			break
		}
	}
	if err := os.WriteFile(found[0], good, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := uplink.Undo(t.Context(), s.plan); err != nil {
		t.Error(err)
	}
}

// TestMeddled has somebody else change the host in the middle of a move, which then has failed, or
// can be undone; nothing is left of it.
func TestMeddled(t *testing.T) {
	for name, line := range map[string]string{"NIC gone": "link del nic0", "NIC taken": "link set nic0 nomaster"} {
		t.Run(name, func(t *testing.T) {
			for at := 3; ; at += 14 {
				s := newScene(t)
				n := 0
				ctx := fault.With(t.Context(), func(string) error {
					if n++; n == at {
						ip(t, s.host, line)
					}
					return nil
				})
				_, err := uplink.Move(ctx, s.plan)
				if n < at {
					return
				}
				late := n-at < 3 // the move is over
				if links := show(t, s.host, "-o link"); err == nil && !late && !strings.Contains(links, "master br0") {
					t.Errorf("before step %d of %d: done, with\n%s", at, n, links)
				}
				if _, undo := uplink.Undo(t.Context(), s.plan); (err == nil) != (undo == nil) {
					t.Errorf("before step %d of %d: %v, and the undo: %v", at, n, err, undo)
				}
				if links := show(t, s.host, "-o link"); strings.Contains(links, "br0") {
					t.Errorf("before step %d of %d: %v\n%s", at, n, err, links)
				}
				if name == "NIC taken" {
					nstest.Ping(t, s.remote.Handle, "10.0.0.2")
				}
			}
		})
	}
}

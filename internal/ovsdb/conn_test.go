//go:build linux

package ovsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fake is a connection and the server's end of it.
func fake(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	client, server := net.Pipe()
	if err := server.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := newConn(client)
	t.Cleanup(func() { _ = server.Close(); _ = c.close() })
	return c, server
}

// TestEcho has the server ask whether the client lives, as it does with idle
// ones, and hang up on those that are silent. A question that is too long to keep
// has no answer.
func TestEcho(t *testing.T) {
	_, server := fake(t)
	if _, err := fmt.Fprintf(server, `{"method":"echo","params":[%q],"id":1}`, strings.Repeat("x", maxEchoLength)); err != nil {
		t.Fatal(err)
	}
	for _, question := range []string{`{"method":"echo","params":[],"id":"echo"}`, `{"id":7,"method":"echo","params":["x"]}`} {
		if _, err := server.Write([]byte(question)); err != nil {
			t.Fatal(err)
		}
		var q, a map[string]any
		_ = json.Unmarshal([]byte(question), &q)
		if err := json.NewDecoder(server).Decode(&a); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any{"result": q["params"], "error": nil, "id": q["id"]}, a); diff != "" {
			t.Error(diff)
		}
	}
}

// TestOrder answers a crowd of calls last one first.
func TestOrder(t *testing.T) {
	const calls = 20
	c, server := fake(t)
	go func() {
		d := json.NewDecoder(server)
		var answers []string
		for range calls {
			var m message
			if d.Decode(&m) != nil {
				return
			}
			answers = append(answers, fmt.Sprintf(`{"id":%s,"result":%s,"error":null}`, m.ID, m.Params))
		}
		for i := range answers {
			_, _ = server.Write([]byte(answers[calls-1-i]))
		}
	}()
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			got, err := c.call(t.Context(), "test", i)
			if want := fmt.Sprint(i); string(got) != want || err != nil {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		})
	}
	wg.Wait()
	if len(c.waiting) > 0 {
		t.Errorf("%d calls are waited for", len(c.waiting))
	}
}

// TestDeafServer takes no bytes, then closes: calls end by their context, and
// by the end of the connection.
func TestDeafServer(t *testing.T) {
	c, server := fake(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.call(ctx, "test", strings.Repeat("x", 100)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	_ = server.Close()
	if _, err := c.call(t.Context(), "test", 1); err == nil || !c.ended() {
		t.Error("a call on a dead connection:", err)
	}
}

func TestDialError(t *testing.T) {
	const endpoint = "unix:/var/run/openvswitch/db.sock"
	for _, tc := range []struct{ err, is error }{
		{syscall.ENOENT, fs.ErrNotExist},
		{syscall.ECONNREFUSED, fs.ErrNotExist},
		{syscall.EACCES, fs.ErrPermission},
		{syscall.EPERM, fs.ErrPermission},
		{syscall.EHOSTUNREACH, syscall.EHOSTUNREACH},
	} {
		if err := dialError(t.Context(), endpoint, &net.OpError{Op: "dial", Err: tc.err}); !errors.Is(err, tc.is) || !strings.Contains(err.Error(), endpoint) {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dialError(ctx, endpoint, errors.New("operation was canceled")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWithPort(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.1": "10.0.0.1:6640", "10.0.0.1:7": "10.0.0.1:7", "db.example": "db.example:6640",
		"[fd00::1]": "[fd00::1]:6640", "[fd00::1]:7": "[fd00::1]:7", "fd00::1": "[fd00::1]:6640",
	} {
		if got := withPort(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// TestResults reads answers that a server gives.
func TestResults(t *testing.T) {
	ops := []Op{Guard("Bridge", Has("name", "lan"), "name", "lan"), Select("Port", Has("name", "x"), "name")}
	change := []Op{Update("Port", NewUUID(), Columns{"tag": []int{1}})}
	for _, tc := range []struct {
		name, answer string
		ops          []Op
		kind, says   string
	}{
		{"fine", `[{},{"rows":[]}]`, ops, "", ""},
		{"guard", `[{"error":"timed out","details":"..."},null]`, ops, TimedOut, "refused to wait Bridge"},
		{"commit", `[{},{"rows":[]},{"error":"constraint violation","details":"two rows"}]`, ops, Constraint, "refused the transaction: constraint violation (two rows)"},
		{"count", `[{"count":0}]`, change, "changed 0 rows", "refused to update Port"},
		{"short", `[{}]`, ops, "", "answered 1 of 2 operations"},
		{"no list", `{"a":1}`, ops, "", "no proper answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := read(tc.answer, tc.ops)
			if tc.kind != "" && !Refused(err, tc.kind) {
				t.Errorf("%v is no %s", err, tc.kind)
			}
			if (err == nil) != (tc.says == "") || !strings.Contains(fmt.Sprint(err), tc.says) {
				t.Error(err)
			}
		})
	}
}

// read reads an answer as a transaction does.
func read(answer string, ops []Op) ([]Result, error) {
	all, err := decode(json.RawMessage(answer), len(ops))
	if err != nil {
		return nil, err
	}
	return results(all, ops)
}

// FuzzResults must survive whatever a server sends.
func FuzzResults(f *testing.F) {
	for _, seed := range []string{
		`[{"rows":[{"_uuid":["uuid","36bef046-7da7-43a5-905a-c17899216fcb"],"name":"x","tag":["set",[]],"external_ids":["map",[["a","b"]]]}]}]`,
		`[{"rows":[{"name":[]}]}]`, `[{"rows":[{"name":["set"]}]}]`, `[{"rows":[{"name":["uuid"]}]}]`, `[{"rows":[{"name":["map",[["a"]]]}]}]`,
		`[{"rows":[{"name":["set",["uuid"]]}]}]`, `[{"uuid":["uuid"]}]`, `[{"rows":[null]}]`, `[null]`, `null`, `[{"rows":[{"tag":["set",[1,[]]]}]}]`,
	} {
		f.Add([]byte(seed))
	}
	ops := []Op{Select("Port", Has("name", "x"), "name")}
	f.Fuzz(func(_ *testing.T, answer []byte) {
		got, err := read(string(answer), ops)
		if err != nil {
			return
		}
		for _, row := range append(got[0], got[0].First()) {
			_, _, _, _ = row.Text("name"), row.Numbers("tag"), row.Row("_uuid"), row.Texts("external_ids")
		}
	})
}

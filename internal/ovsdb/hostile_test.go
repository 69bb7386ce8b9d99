//go:build linux

package ovsdb

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostile is a Client whose server reads one request and then sends what say writes.
func hostile(t *testing.T, say func(w io.Writer)) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Read(make([]byte, 4096)); err == nil {
			say(conn)
			_, _ = io.Copy(io.Discard, conn) // until the client hangs up
		}
	}()
	c := &Client{Database: "db", Endpoint: "unix:" + path}
	t.Cleanup(func() { _ = c.Close(); _ = l.Close(); <-ended })
	return c
}

// endless sends head, and then piece until the client hangs up or a gigabyte is
// sent.
func endless(head, piece string) func(io.Writer) {
	return func(w io.Writer) {
		_, err := io.WriteString(w, head)
		many := strings.Repeat(piece, 1+(64<<10)/len(piece))
		for sent := 0; err == nil && sent < 1<<30; sent += len(many) {
			_, err = io.WriteString(w, many)
		}
	}
}

// full sends one proper message of almost the length that is allowed.
func full(head, piece, tail string) func(io.Writer) {
	return func(w io.Writer) {
		n := (maxLength - len(head) - len(tail)) / len(piece)
		_, _ = io.WriteString(w, head+strings.Repeat(piece, n)+tail)
	}
}

// TestHostileServer has a server send too much. Each call ends with an error of one
// line, and what all of it takes is bounded.
func TestHostileServer(t *testing.T) {
	const answer = `{"id":1,"error":null,"result":[`
	for _, tc := range []struct {
		name string
		say  func(io.Writer)
		says string
	}{
		{"string", endless(answer+`{"rows":[{"name":"`, "x"), "more than 4 MiB in one message"},
		{"number", endless(answer, "1"), "more than 4 MiB in one message"},
		{"blanks", endless(answer, " "), "more than 4 MiB in one message"},
		{"escapes", endless(answer+`"`, `\\\"`), "more than 4 MiB in one message"},
		{"rows", endless(answer+`{"rows":[{}`, `,{"a":1}`), "more than 50000 rows"},
		{"values", endless(answer+`{"rows":[{"a":["set",[1`, `,1`), "more than 500000 values"},
		{"empty sets", endless(answer+`{"rows":[{"a":["set",[1`, `,[]`), "more than 500000 values"},
		{"results", endless(answer+`null`, `,null`), "more than 500000 values"},
		{"nesting", endless(answer, "["), "more than 16 levels"},
		{"errors", endless(`{"id":1,"error":{`, `"a":`), "more than 4 MiB in one message"},
		{"another protocol", endless("HTTP/1.1 200 OK\r\n", "x"), `does not speak OVSDB: a message begins with 'H'`},
		{"list", endless("[", "1,"), `does not speak OVSDB: a message begins with '['`},
		{"method is a list", endless(`{"method":[]}`, "\n"), "does not speak OVSDB"},
		{"brackets crossed", endless(`{"result":[}]}`, "\n"), "does not speak OVSDB"},
		{"many results", full(answer+`{}`, `,"xxxxxxxxxxxx"`, `]}`), "was asked for 1"},
		{"long refusal", full(answer+`{"error":"`, "\x1b[31m", `"}]}`), "does not speak OVSDB"},
		{"long error", full(`{"id":1,"result":null,"error":"`, `\u001b`, `"}`), `transact: "\u001b`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := hostile(t, tc.say)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			before := allocated()
			_, err := Run(ctx, c, "test", []Op{Select("Port", Has("name", "x"), "name")})
			t.Logf("%v, %d MiB allocated", err, (allocated()-before)>>20)
			if err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v, want %q", err, tc.says)
			}
			if err != nil && (len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\n\x1b")) {
				t.Errorf("the error is no short line: %.100q", err)
			}
			bounded(t, before)
		})
	}
}

// TestLargeAnswer has a server send as much as it may: it is read, or refused as a
// whole, and what that takes is bounded.
func TestLargeAnswer(t *testing.T) {
	const head, tail = `{"id":1,"error":null,"result":[{"rows":[`, `]}]}`
	for name, say := range map[string]func(io.Writer){
		"one string": full(head+`{"name":"`, "x", `"}`+tail),
		"rows":       full(head+`{}`, `,{"_uuid":["uuid","36bef046-7da7-43a5-905a-c17899216fcb"],"name":"v1pl1234567890123"}`, tail),
		"wide rows":  full(head+`{}`, `,{"aaaaaaaa":["map",[["a","b"]]],"b":["set",[1,2,3,4,5,6,7,8,9,10]],"c":"`+strings.Repeat("c", 150)+`"}`, tail),
		"one set":    full(head+`{"a":["set",[1`, `,12345678`, `]]}`+tail),
		"uuids":      full(head+`{"a":["set",[1`, `,["uuid","36bef046-7da7-43a5-905a-c17899216fcb"]`, `]]}`+tail),
	} {
		t.Run(name, func(t *testing.T) {
			c := hostile(t, say)
			before := allocated()
			got, err := Run(t.Context(), c, "test", []Op{Select("Port", Has("name", "x"), "name")})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d rows, %d MiB allocated", len(got[0]), (allocated()-before)>>20)
			bounded(t, before)
		})
	}
}

// allocated is what this process has allocated so far, freed or not, in bytes.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func bounded(t *testing.T, before uint64) {
	t.Helper()
	if took := (allocated() - before) >> 20; took > 400 {
		t.Errorf("%d MiB were allocated", took)
	}
}

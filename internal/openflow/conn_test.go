package openflow

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// serve has f speak with whoever connects, for the length of the test.
func serve(t *testing.T, f func(net.Conn)) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mgmt")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err == nil {
			f(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return path
}

// greet reads a greeting, and greets.
func greet(c net.Conn) {
	_, _ = io.ReadFull(c, make([]byte, 16))
	_, _ = c.Write(message(typeHello, 1, nil))
}

// flood writes this without an end.
func flood(c net.Conn, b []byte) {
	for all := bytes.Repeat(b, 1+4096/len(b)); ; {
		if _, err := c.Write(all); err != nil {
			return
		}
	}
}

// part is one of an answer's of which there are more, with as many bytes.
func part(n int) []byte {
	return message(typeMultipartReply, 2, append([]byte{0, 1, 0, 1, 0, 0, 0, 0}, make([]byte, n)...))
}

// TestHostile is of switches that are none: each call ends by its context, without much memory.
func TestHostile(t *testing.T) {
	for name, f := range map[string]func(net.Conn){
		"silent":              func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"gone":                func(net.Conn) {},
		"gone after greeting": greet,
		"silent after that":   func(c net.Conn) { greet(c); _, _ = io.Copy(io.Discard, c) },
		"garbage":             func(c net.Conn) { flood(c, []byte("HTTP/1.1 200 OK\r\n")) },
		"zeros":               func(c net.Conn) { flood(c, make([]byte, 64)) },
		"a short header":      func(c net.Conn) { greet(c); flood(c, []byte{version, typeMultipartReply, 0, 7, 0, 0, 0, 2}) },
		"others without end":  func(c net.Conn) { greet(c); flood(c, message(typeMultipartReply, 99, nil)) },
		"echoes without end":  func(c net.Conn) { greet(c); flood(c, message(typeEchoRequest, 99, make([]byte, 60000))) },
		"parts without end":   func(c net.Conn) { greet(c); flood(c, part(60000)) },
		"empty parts":         func(c net.Conn) { greet(c); flood(c, part(0)) },
		"an answer cut off":   func(c net.Conn) { greet(c); flood(c, message(typeMultipartReply, 2, []byte{0, 1})) },
		"a flow cut off":      func(c net.Conn) { greet(c); flood(c, message(typeMultipartReply, 2, make([]byte, 30))) },
		"a flow of no length": func(c net.Conn) { greet(c); flood(c, message(typeMultipartReply, 2, make([]byte, 80))) },
		"an error cut off":    func(c net.Conn) { greet(c); flood(c, message(typeError, 2, []byte{1})) },
		"a message without end": func(c net.Conn) {
			greet(c)
			_, _ = c.Write([]byte{version, typeMultipartReply, 0xff, 0xff, 0, 0, 0, 2})
			_, _ = io.Copy(io.Discard, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c, err := Dial(ctx, serve(t, f))
			if err == nil {
				defer func() { _ = c.Close() }()
				_, err = c.Flows(ctx, 1, 1)
			}
			runtime.ReadMemStats(&after)
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("error: %v", err)
			}
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
				t.Errorf("%d bytes more are in use", grown)
			}
		})
	}
}

// TestEndsWithItsContext has the context end in the middle of a call.
func TestEndsWithItsContext(t *testing.T) {
	for name, then := range map[string]func(c net.Conn, over <-chan struct{}){
		"takes nothing": func(_ net.Conn, over <-chan struct{}) { <-over },
		"says nothing":  func(c net.Conn, _ <-chan struct{}) { _, _ = io.Copy(io.Discard, c) },
	} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{})
			defer close(over)
			c, err := Dial(t.Context(), serve(t, func(c net.Conn) { greet(c); then(c, over) }))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			reason := errors.New("interrupted")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(50*time.Millisecond, func() { cancel(reason) })
			mods := make([]Mod, 10_000)
			if err := c.Change(ctx, mods); !errors.Is(err, reason) {
				t.Error(err)
			}
		})
	}
}

// TestRefusal is of errors that the switch sends.
func TestRefusal(t *testing.T) {
	refuse := func(kind, code byte) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 16))
			_, _ = c.Write(message(typeError, 1, []byte{0, kind, 0, code}))
		}
	}
	_, err := Dial(t.Context(), serve(t, refuse(0, 0)))
	var r *Refusal
	if !errors.As(err, &r) || !r.Version() || !strings.Contains(err.Error(), "does not speak OpenFlow 1.4") {
		t.Errorf("another version: %v", err)
	}
	_, err = Dial(t.Context(), serve(t, refuse(1, 5)))
	if !errors.As(err, &r) || r.Version() || !strings.Contains(err.Error(), "type 1, code 5") {
		t.Errorf("a refusal: %v", err)
	}
}

// FuzzFlows reads what a switch may send for flows: no panic, and what is understood is written
// as it was read.
func FuzzFlows(f *testing.F) {
	f.Add(entry(Flow{Cookie: 7, Priority: 3, Match: Match{InPort(4), Whole(), Tagged(7), IPv6Src(make([]byte, 16)).Masked(make([]byte, 16))}, Then: Again(15, 9)}))
	f.Add(make([]byte, 60))
	f.Add([]byte{0, 56, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		flows, err := parseFlows(b)
		if err != nil {
			return
		}
		for _, flow := range flows {
			again, err := parseFlows(entry(flow))
			if err != nil || len(again) != 1 || again[0].Key() != flow.Key() {
				t.Errorf("%+v, %v; want %+v", again, err, flow)
			}
		}
	})
}

// entry is a flow as a switch tells of it.
func entry(f Flow) []byte {
	b := make([]byte, 48)
	binary.BigEndian.PutUint16(b[12:], f.Priority)
	binary.BigEndian.PutUint64(b[24:], f.Cookie)
	b = append(f.Match.append(b), f.Then...)
	binary.BigEndian.PutUint16(b, uint16(len(b)))
	return b
}

//go:build linux

package ovsdb

import (
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/fault"
)

// TestConnectTogether connects a crowd at once: when the Client is closed, so are all
// connections that came about.
func TestConnectTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c := &Client{Endpoint: "unix:" + path}
	const callers = 20
	var all, wg sync.WaitGroup
	all.Add(callers)
	ctx := fault.With(t.Context(), func(string) error { // each is about to connect
		all.Done()
		all.Wait()
		return nil
	})
	for range callers {
		wg.Go(func() {
			if err := c.Connect(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	last, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = last.Close() }()
	if _, err := last.Write([]byte("last")); err != nil {
		t.Fatal(err)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(make([]byte, 4))
		if n > 0 {
			return // the last, before which all others came
		}
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			t.Fatal("a connection was left open")
		}
	}
}

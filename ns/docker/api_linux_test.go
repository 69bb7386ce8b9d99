package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework/ns"
)

func TestOlder(t *testing.T) {
	for theirs, want := range map[string]string{
		"1.24": "1.24", "1.41": "1.41", apiVersion: apiVersion, "1.99": apiVersion, "": "1.24", "2.0": "1.24", "1.x": "1.24", "1.-4": "1.24", "1": "1.24",
	} {
		if got := older(theirs, apiVersion); got != want {
			t.Errorf("%q: %s, want %s", theirs, got, want)
		}
	}
}

// endless answers every connection with a beginning and then more of the same, for as
// long as it is read, and says by /_ping that it is an engine.
func endless(t *testing.T, begin, more string) Engine {
	t.Helper()
	dir, err := os.MkdirTemp("", "pw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	chunk := []byte(strings.Repeat(more, 1+64<<10/len(more)))
	answer := func(c net.Conn) {
		defer func() { _ = c.Close() }()
		question := make([]byte, 4096)
		n, _ := c.Read(question)
		if strings.Contains(string(question[:n]), "/_ping") {
			_, _ = fmt.Fprint(c, "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 0\r\n\r\n")
			return
		}
		_, err := fmt.Fprint(c, begin)
		for err == nil {
			_, err = c.Write(chunk)
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	return Engine{Host: "unix://" + path}
}

// TestEndlessAnswers has engines that never end what they say: each is given up after
// what is read of an honest one, and little memory is used meanwhile.
func TestEndlessAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // what is garbage is not to be counted
	for name, e := range map[string]Engine{
		"headers": endless(t, "HTTP/1.1 200 OK\r\n", "X-More: more\r\n"),
		"header":  endless(t, "HTTP/1.1 200 OK\r\nX-More: ", "more"),
		"spaces":  endless(t, ok, " "),
		"text":    endless(t, ok+`{"Id": "`, "x"),
		"nested":  endless(t, ok, "["),
		"list":    endless(t, ok+"[{}", ",{}"),
		"failure": endless(t, "HTTP/1.1 500 No\r\n\r\n", "x"),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for what, call := range map[string]func() error{
				"open":     func() error { _, err := e.Container("web").Open(ctx); return err },
				"running":  func() error { _, err := e.Running(ctx); return err },
				"describe": func() error { _, err := e.Describe(ctx, "web"); return err },
				"follow":   func() error { return e.Follow(ctx, func() {}, func(ns.Event) {}) },
			} {
				err := call()
				if err == nil || ctx.Err() != nil || errors.Is(err, fs.ErrNotExist) || len(err.Error()) > 1000 || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %.300v", what, err)
				}
			}
			runtime.ReadMemStats(&after)
			if grew := after.HeapSys - before.HeapSys; int64(grew) > 48<<20 {
				t.Errorf("the heap grew by %d MiB", grew>>20)
			}
		})
	}
}

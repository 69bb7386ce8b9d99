//go:build linux

package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/ns"
)

func TestMain(m *testing.M) { nstest.Main(m) }

// TestKeeps runs the example past the end of a lease of four seconds, once until
// it is interrupted and once until its guest ends.
func TestKeeps(t *testing.T) {
	dhcptest.Need(t, "kea-dhcp4")
	dhcptest.Network(t)
	dhcptest.Kea(t, 4)
	for name, end := range map[string]func(kill func() error, cancel func()){
		"interrupted":   func(_ func() error, cancel func()) { cancel() },
		"guest is dead": func(kill func() error, _ func()) { _ = kill() },
	} {
		t.Run(name, func(t *testing.T) {
			p := nstest.Process(t)
			r, w := io.Pipe()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				err := run(ctx, w, dhcptest.Bridge, ns.PID(p.PID))
				_ = w.Close()
				ended <- err
			}()
			lines := bufio.NewScanner(r)
			for range 3 {
				if !lines.Scan() {
					t.Fatal("no more events:", <-ended)
				}
			}
			if !strings.Contains(lines.Text(), `"event":"renewed"`) {
				t.Errorf("third line: %s", lines.Text())
			}
			go func() { _, _ = io.Copy(io.Discard, r) }()
			end(p.Kill, cancel)
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

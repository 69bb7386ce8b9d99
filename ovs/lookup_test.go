//go:build linux

package ovs_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/ovs"
)

// TestLookupSilent has signs that Open vSwitch is on this machine, and no database
// that answers: nobody knows then what a name is. Without a sign there is no bridge.
func TestLookupSilent(t *testing.T) {
	ovstest.Start(t) // which skips where Open vSwitch is not installed
	if _, exists, err := new(ovs.Client).Lookup(t.Context(), "lan"); exists || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a sign: %v, %v", exists, err)
	}
	if exists, err := ovs.IsBridge(t.Context(), "", "lan"); exists || err != nil {
		t.Errorf("IsBridge without a sign: %v, %v", exists, err)
	}
	silent := func(t *testing.T, c *ovs.Client) {
		t.Helper()
		if _, exists, err := c.Lookup(t.Context(), "lan"); exists || err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Lookup: %v, %v", exists, err)
		}
		if exists, err := c.IsBridge(t.Context(), "lan"); exists || err == nil {
			t.Errorf("IsBridge: %v, %v", exists, err)
		}
	}
	t.Run("folder of the socket", func(t *testing.T) {
		makeDir(t, "/run/openvswitch")
		silent(t, nil)
		silent(t, new(ovs.Client))
	})
	t.Run("database", func(t *testing.T) {
		var st unix.Statfs_t
		if err := unix.Statfs("/etc/openvswitch", &st); err != nil || st.Type != unix.TMPFS_MAGIC {
			t.Fatalf("the sandbox does not hide the machine's /etc/openvswitch: type %x, %v", st.Type, err)
		}
		if err := os.WriteFile("/etc/openvswitch/conf.db", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove("/etc/openvswitch/conf.db") })
		silent(t, nil)
	})
	t.Run("OVS_RUNDIR", func(t *testing.T) {
		t.Setenv("OVS_RUNDIR", "/nowhere")
		silent(t, ovs.FromEnvironment())
	})
	t.Run("endpoint", func(t *testing.T) { silent(t, &ovs.Client{Endpoint: "tcp:127.0.0.1:1"}) })
}

// TestLookupHostile has servers that answer nothing, nonsense, or hang up: the call
// ends by itself, and knows nothing.
func TestLookupHostile(t *testing.T) {
	for name, answer := range map[string]string{"nothing": "", "nonsense": "HTTP/1.1 400\r\n", "too little": `{"id":1,"result":[],"error":null}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = c.Write([]byte(answer))
					t.Cleanup(func() { _ = c.Close() })
				}
			}()
			c := &ovs.Client{Endpoint: "tcp:" + l.Addr().String()}
			defer func() { _ = c.Close() }()
			_, exists, err := c.Lookup(t.Context(), "lan")
			if exists || err == nil || errors.Is(err, fs.ErrNotExist) || answer == "" && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, %v", exists, err)
			}
		})
	}
}

func makeDir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
}

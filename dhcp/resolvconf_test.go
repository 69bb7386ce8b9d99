//go:build linux

package dhcp

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func TestResolvConf(t *testing.T) {
	l := &Lease{DNS: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Domain: "ln.test"}
	other := &Lease{DNS: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, Search: []string{"a.test", "b.test"}}
	for _, before := range []string{"", "nameserver 1.1.1.1\n", "search x\nnameserver 1.1.1.1", "\n\n# mine\n"} {
		path := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
			t.Fatal(err)
		}
		write := func(l *Lease) string {
			if _, err := WriteResolvConf(t.Context(), path, "eth1", l); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		first := write(l)
		if again := write(l); again != first {
			t.Errorf("the same again: %q, had %q", again, first)
		}
		if got, want := write(other)[:57], "#pipework eth1 begins\nnameserver 10.0.0.2\nsearch a.test b.test\n"[:57]; got != want {
			t.Errorf("changed: %q", got)
		}
		if after := write(nil); after != before {
			t.Errorf("afterwards %q, was %q", after, before)
		}
	}
}

// TestResolvConfOfTheHost has a guest whose resolv.conf leads elsewhere.
func TestResolvConfOfTheHost(t *testing.T) {
	dir := t.TempDir()
	host, inside := filepath.Join(dir, "host"), filepath.Join(dir, "link")
	if err := os.WriteFile(host, []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(host, inside); err != nil {
		t.Fatal(err)
	}
	l := &Lease{DNS: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	for _, path := range []string{inside, fmt.Sprintf("/proc/%d/root%s", os.Getpid(), inside), dir, filepath.Join(dir, "none")} {
		if _, err := WriteResolvConf(t.Context(), path, "eth1", l); err == nil {
			t.Errorf("wrote %s", path)
		}
	}
	if b, _ := os.ReadFile(host); string(b) != "mine\n" {
		t.Errorf("the host's file: %q", b)
	}
}

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

// TestResolvConfOfBoth has a lease of each family, which come and go in any order.
func TestResolvConfOfBoth(t *testing.T) {
	four := &Lease{Addr: netip.MustParsePrefix("10.0.0.9/24"), DNS: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Search: []string{"four.test"}}
	six := &Lease{Addr: netip.MustParsePrefix("fd00::9/128"), DNS: []netip.Addr{netip.MustParseAddr("fd00::1")}, Search: []string{"six.test"}}
	no4, no6 := &Lease{Addr: four.Addr}, &Lease{Addr: six.Addr}
	const before = "nameserver 1.1.1.1"
	only := func(l *Lease) string { return string(resolvConf([]byte(before), "eth1", l)) }
	both := ""
	for name, steps := range map[string][]*Lease{"4 first": {four, six, no4}, "6 first": {six, four, six, no4}} {
		text := []byte(before)
		for i, l := range steps {
			if i == len(steps)-1 {
				if both == "" {
					both = string(text)
				}
				if string(text) != both {
					t.Errorf("%s: %q, the other way round %q", name, text, both)
				}
			}
			text = resolvConf(text, "eth1", l)
		}
		if string(text) != only(six) {
			t.Errorf("%s: %q", name, text)
		}
		for _, end := range []*Lease{no6, nil} {
			if got := string(resolvConf(text, "eth1", end)); got != before {
				t.Errorf("%s: afterwards %q", name, got)
			}
		}
	}
	if want := "#pipework eth1 ipv6 begins\nnameserver fd00::1\nsearch six.test\n#pipework eth1 ipv6 ends\n" +
		"#pipework eth1 begins\nnameserver 10.0.0.1\nsearch four.test\n#pipework eth1 ends\n#pipework eth1# nameserver 1.1.1.1"; both != want {
		t.Errorf("both: %q", both)
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

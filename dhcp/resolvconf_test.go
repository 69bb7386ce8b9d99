//go:build linux

package dhcp

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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

// TestResolvConfOfTheHost has paths that lead elsewhere.
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
	for _, path := range []string{inside, "/proc/self/root" + host, "/proc/thread-self/root" + host, "/proc/self/cwd/../../" + host, dir, filepath.Join(dir, "none")} {
		if _, err := WriteResolvConf(t.Context(), path, "eth1", l); err == nil {
			t.Errorf("wrote %s", path)
		}
	}
	if b, _ := os.ReadFile(host); string(b) != "mine\n" {
		t.Errorf("the host's file: %q", b)
	}
}

// rooted is a thread whose root is dir, for the length of the test: its path in /proc.
func rooted(t *testing.T, dir string) string {
	t.Helper()
	tid, end := make(chan int), make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its root
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil {
			err = unix.Chroot(dir)
		}
		if err != nil {
			t.Error(err)
		}
		tid <- unix.Gettid()
		<-end
	}()
	t.Cleanup(func() { close(end) })
	return fmt.Sprintf("/proc/%d/task/%d/root", os.Getpid(), <-tid)
}

// TestResolvConfInARoot has a guest whose resolv.conf is a link: it leads to what the guest
// sees by that name, never out of the guest, and nowhere that the kernel listens.
func TestResolvConfInARoot(t *testing.T) {
	l := &Lease{DNS: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	for name, row := range map[string]struct {
		link string
		file string // that is to be written; "": none
	}{
		"relative":           {"../run/stub", "run/stub"},
		"absolute":           {"/run/stub", "run/stub"},
		"out of it":          {"../../../../../../run/stub", "run/stub"},
		"through a link":     {"/link/stub", "run/stub"},
		"a loop":             {"resolv.conf", ""},
		"a setting":          {"/proc/sys/kernel/core_pattern", ""},
		"a link of kernel's": {"/proc/self/root/outside", ""},
		"nowhere":            {"/run/none", ""},
		"a directory":        {"/run", ""},
		"a pipe":             {"/run/pipe", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			root := filepath.Join(dir, "guest")
			for _, d := range []string{"etc", "run", "proc"} {
				if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(
				os.WriteFile(filepath.Join(root, "run/stub"), []byte("theirs\n"), 0o644),
				os.WriteFile(filepath.Join(dir, "outside"), []byte("mine\n"), 0o644),
				os.Symlink("run", filepath.Join(root, "link")),
				os.Symlink(row.link, filepath.Join(root, "etc/resolv.conf")),
				unix.Mkfifo(filepath.Join(root, "run/pipe"), 0o644),
				unix.Mount("/proc", filepath.Join(root, "proc"), "", unix.MS_BIND|unix.MS_REC, ""),
			); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := unix.Unmount(filepath.Join(root, "proc"), unix.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
			_, err := WriteResolvConf(t.Context(), rooted(t, root)+"/etc/resolv.conf", "eth1", l)
			stub, _ := os.ReadFile(filepath.Join(root, "run/stub"))
			if wrote := strings.Contains(string(stub), "10.0.0.1"); wrote != (row.file != "") || (err == nil) != wrote {
				t.Errorf("%v; wrote: %v", err, wrote)
			}
		})
	}
}

// TestResolvConfByAnothersLink has a link of another user's than the file that it leads to,
// as one in a volume has.
func TestResolvConfByAnothersLink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w := walk{}
	defer w.close()
	if err := w.open(unix.AT_FDCWD, path, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := w.reopen(); err != nil {
		t.Error(err)
	} else {
		_ = f.Close()
	}
	w.links = []uint32{uint32(os.Getuid()), 1000}
	if _, err := w.reopen(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("by another's link: %v", err)
	}
}

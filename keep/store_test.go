//go:build linux

package keep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"github.com/go-pipework/pipework/ns"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ovs"
)

var byValue = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.IgnoreFields(Record{}, "Changed", "Version"), cmpopts.IgnoreUnexported(Record{})}

// kinds are those that the command reads.
var kinds = append(link.Kinds(), ovs.Kind())

func store(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "new", "state"), kinds...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func web(change func(*Record)) Record {
	r := Record{
		Guest: ns.ParseRef("docker:web"), Interface: "eth1", Spec: pipework.Spec{Link: link.Bridge{Name: "br1"}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}},
		Source: FromCommand, Phase: Attached, Attachment: &pipework.Attachment{Name: "eth1", Link: "bridge:br1"},
	}
	change(&r)
	return r
}

// withName is the record as it is read: the Spec has the interface's name.
func withName(r Record) Record {
	r.Spec.Name = r.Interface
	return r
}

func put(t *testing.T, s *Store, r Record) {
	t.Helper()
	if err := s.Put(r); err != nil {
		t.Fatal(err)
	}
}

// wantAll expects these records and so many damaged files.
func wantAll(t *testing.T, s *Store, damaged int, want ...Record) {
	t.Helper()
	got, bad, err := s.All()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, byValue, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if len(bad) != damaged {
		t.Errorf("%d damaged, want %d: %v", len(bad), damaged, bad)
	}
}

func TestStore(t *testing.T) {
	s := store(t)
	one, other := withName(web(func(*Record) {})), withName(web(func(r *Record) { r.Interface = "eth2" }))
	put(t, s, other)
	put(t, s, web(func(r *Record) {
		r.Phase = Intent
		r.Before = &Record{Version: 1, Guest: r.Guest, Interface: r.Interface, Source: FromLabel, Phase: Attached}
	}))
	put(t, s, one)
	wantAll(t, s, 0, one, other)
	got, err := s.Get(ns.ParseRef("docker:web"), "eth1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&one, got, byValue); diff != "" {
		t.Error(diff)
	}
	if age := time.Since(got.Changed); age < -time.Second || age > time.Minute || got.Version != version {
		t.Errorf("changed %v ago, version %d", age, got.Version)
	}
	for range 2 {
		if err := s.Delete(ns.ParseRef("docker:web"), "eth1"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Get(ns.ParseRef("docker:web"), "eth1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	wantAll(t, s, 0, other)
	st, err := os.Stat(s.Dir())
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", st.Mode(), err)
	}
}

// TestRefusedRecords puts what can be no record.
func TestRefusedRecords(t *testing.T) {
	s := store(t)
	for _, change := range []func(*Record){
		func(r *Record) { r.Guest = ns.ParseRef("") },
		func(r *Record) { r.Guest = ns.ParseRef("a\nb") },
		func(r *Record) { r.Guest = ns.ParseRef(strings.Repeat("x", 5000)) },
		func(r *Record) { r.Interface = "../eth1" },
		func(r *Record) { r.Interface = "" },
		func(r *Record) { r.Phase = "" },
		func(r *Record) { r.Source = "rumour" },
		func(r *Record) { r.Spec.Name = "eth9" },
		func(r *Record) { r.Spec.Link = link.Bridge{Name: "\x1b[2J"} },
		func(r *Record) { r.Spec.Link = link.Bridge{Name: "br1", VLAN: 5000} },
		func(r *Record) { r.Program = &Program{Name: "udhcpc", Options: make([]string, 100)} },
		func(r *Record) { r.Program = &Program{Name: "udhcpc", Options: []string{"\x1b[2J"}} },
		func(r *Record) { r.Before = &Record{Guest: ns.ParseRef("other"), Interface: "eth1"} },
		func(r *Record) { r.Attachment.Drifts = []string{strings.Repeat("x", sizeMax)} },
	} {
		if err := s.Put(web(change)); !errors.Is(err, fs.ErrInvalid) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("got %v", err)
		}
	}
	names, err := os.ReadDir(s.Dir())
	if err != nil || len(names) != 0 {
		t.Errorf("%v %v", names, err)
	}
}

// TestNamesStayInside gives records keys that would like to be elsewhere.
func TestNamesStayInside(t *testing.T) {
	s := store(t)
	var want []Record
	for _, guest := range []string{"..", "../../../etc/passwd", "/proc/1/ns/net", ".lock", "damaged", strings.Repeat("x", 4000), "été", "a b", "a_b"} {
		r := web(func(r *Record) { r.Guest = ns.ParseRef(guest) })
		put(t, s, r)
		want = append(want, r)
	}
	got, _, err := s.All()
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d of %d records, %v", len(got), len(want), err)
	}
	entries, err := os.ReadDir(filepath.Dir(s.Dir()))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the directory: %v %v", entries, err)
	}
	for _, r := range want {
		if name := r.key().file(); len(name) > 255 || filepath.Base(name) != name || name[0] == '.' {
			t.Errorf("%q is kept in %q", r.Guest, name)
		}
		if got, err := s.Get(r.Guest, r.Interface); err != nil || got.Guest != r.Guest {
			t.Errorf("%v %v", got, err)
		}
	}
}

// TestSetAside fills the directory with what nobody may trust.
func TestSetAside(t *testing.T) {
	s := store(t)
	good := web(func(r *Record) { r.Guest = ns.ParseRef("docker:good") })
	put(t, s, good)
	path := func(name string) string { return filepath.Join(s.Dir(), name) }
	name := key{"docker:web", "eth1"}.file()
	whole := func(mode os.FileMode) error {
		b, err := os.ReadFile(path(good.key().file()))
		if err != nil {
			return err
		}
		b = []byte(strings.ReplaceAll(string(b), "docker:good", "docker:web"))
		return errors.Join(os.WriteFile(path(name), b, mode), os.Chmod(path(name), mode))
	}
	for _, row := range []struct {
		name string
		make func() error
		why  string
	}{
		{"cut short", func() error { return os.WriteFile(path(name), []byte(`{"version":1,"guest":"docker:web"`), 0o600) }, "unexpected EOF"},
		{"empty", func() error { return os.WriteFile(path(name), nil, 0o600) }, "EOF"},
		{"version", func() error { return os.WriteFile(path(name), []byte(`{"version":3}`), 0o600) }, "version 3 is neither 2 nor 1"},
		{"more", func() error { return errors.Join(whole(0o600), appendTo(path(name), "{}")) }, "more follows"},
		{"large", func() error { return errors.Join(whole(0o600), os.Truncate(path(name), 1<<40)) }, fmt.Sprintf("%d bytes", sizeMax)},
		{"writable", func() error { return whole(0o620) }, "mode 620"},
		{"symlink", func() error { return os.Symlink(good.key().file(), path(name)) }, "symbolic link"},
		{"dangling", func() error { return os.Symlink("/nowhere", path(name)) }, "symbolic link"},
		{"loop", func() error { return os.Symlink(name, path(name)) }, "symbolic link"},
		{"FIFO", func() error { return unix.Mkfifo(path(name), 0o600) }, "no regular file"},
		{"directory", func() error { return os.Mkdir(path(name), 0o700) }, "no regular file"},
		{"another's", func() error { return os.Link(path(good.key().file()), path(name)) }, "which is kept in"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := row.make(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(ns.ParseRef("docker:web"), "eth1"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v", err)
			}
			_, bad, err := s.All()
			if err != nil || len(bad) != 1 || !strings.Contains(bad[0].Error(), row.why) || strings.Contains(bad[0].Error(), "stays") {
				t.Errorf("damaged: %v, %v", bad, err)
			}
			wantAll(t, s, 0, withName(good))
		})
	}
	kept, err := os.ReadDir(path(damagedDir))
	if err != nil || len(kept) != 12 {
		t.Errorf("%d set aside: %v", len(kept), err)
	}
	t.Run("nowhere to go", func(t *testing.T) {
		if err := errors.Join(os.RemoveAll(path(damagedDir)), os.Symlink(t.TempDir(), path(damagedDir)), whole(0o666)); err != nil {
			t.Fatal(err)
		}
		_, bad, err := s.All()
		if err != nil || len(bad) != 1 || !strings.Contains(bad[0].Error(), "and stays") {
			t.Errorf("damaged: %v, %v", bad, err)
		}
	})
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func TestDirectoryOfOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o770); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "x")} {
		if s, err := Open(dir); err == nil {
			t.Errorf("opened %s", s.Dir())
		}
	}
}

// TestSweep removes what a killed writer left, and nothing that is being written.
func TestSweep(t *testing.T) {
	s := store(t)
	if err := os.WriteFile(filepath.Join(s.Dir(), tempPrefix+"0000000000000000"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 20 {
				if err := s.Put(web(func(r *Record) { r.Guest = ns.ParseRef(fmt.Sprintf("pid:%d", i*100+n)) })); err != nil {
					t.Error(err)
				}
				if err := s.sweep(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all, bad, err := s.All()
	if err != nil || len(bad) > 0 || len(all) != 160 {
		t.Errorf("%d records, %d damaged, %v", len(all), len(bad), err)
	}
	names, err := os.ReadDir(s.Dir())
	if err != nil || len(names) != 162 { // the lock and the marker
		t.Errorf("%d entries, %v", len(names), err)
	}
}

// TestLock has others, who opened the directory themselves, count under the lock.
func TestLock(t *testing.T) {
	s := store(t)
	var count, now atomic.Int32 // the race detector knows nothing of locks between processes
	var wg sync.WaitGroup
	for range 8 {
		other, err := Open(s.Dir())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		wg.Go(func() {
			for range 10 {
				unlock, err := other.Lock(t.Context(), ns.ParseRef("docker:web"), "eth1")
				if err != nil {
					t.Error(err)
					return
				}
				if now.Add(1) != 1 {
					t.Error("not alone")
				}
				count.Add(1)
				now.Add(-1)
				unlock()
			}
		})
	}
	wg.Wait()
	if n := count.Load(); n != 80 {
		t.Errorf("counted %d", n)
	}
	unlock, err := s.Lock(t.Context(), ns.ParseRef("docker:web"), "eth1")
	if err != nil {
		t.Fatal(err)
	}
	free, err := s.Lock(t.Context(), ns.ParseRef("docker:web"), "eth2")
	if err != nil {
		t.Fatal(err)
	}
	free()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Lock(ctx, ns.ParseRef("docker:web"), "eth1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	unlock()
}

// FuzzRecord reads what anybody might have written: a record that is taken is
// whole, is kept under its own name, and reads back as itself.
func FuzzRecord(f *testing.F) {
	r := web(func(*Record) {}).current()
	b, err := r.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version":1,"guest":"a","interface":"b","line":null,"source":"label","phase":"intent","before":{"before":{}}}`))
	f.Add([]byte(`{"version":1,"guest":"a","interface":"b","line":["br1","a","dhcp:-t5"],"source":"label","phase":"intent","before":{"version":1,"guest":"a","interface":"b","line":["eth0","a","udhcpc-f","@5"],"source":"label","phase":"attached","attachment":{"link":"macvlan:eth0@5"}}}`))
	f.Add([]byte(`{"version":1,"guest":"..","interface":"..","source":"env","phase":"attached","attachment":{"mac":"x"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var guess struct{ Guest, Interface string }
		_ = json.Unmarshal(b, &guess)
		r, err := decode(key{guess.Guest, guess.Interface}.file(), b, kinds)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error %q", err)
			}
			return
		}
		name := r.key().file()
		if len(name) > 255 || filepath.Base(name) != name || name[0] == '.' || name == damagedDir {
			t.Errorf("kept in %q", name)
		}
		*r = r.current()
		again, err := r.encode()
		if errors.Is(err, fs.ErrInvalid) && len(b) > sizeMax/8 {
			return // its JSON is longer with indentation
		}
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode(name, again, kinds)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, back, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Record{})); diff != "" {
			t.Error(diff)
		}
	})
}

// BenchmarkPut writes a record, which waits for the disk of TMPDIR: where that is
// memory, the greater part of the time is not seen.
func BenchmarkPut(b *testing.B) {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	r := web(func(*Record) {})
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Put(r); err != nil {
			b.Fatal(err)
		}
	}
}

//go:build linux

package keep

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// tree is everything under dir: each path with its mode, and what is in it.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		what := info.Mode().String()
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += " " + string(text)
		}
		all[strings.TrimPrefix(path, dir)] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDirectoryOfOthersStays names directories that hold what is not pipework's: they are
// refused, and nothing in them is touched.
func TestDirectoryOfOthersStays(t *testing.T) {
	record := key{"docker:web", "eth1"}.file()
	write := func(names ...string) func(string) error {
		return func(dir string) (err error) {
			for _, name := range names {
				err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
			}
			return err
		}
	}
	for name, fill := range map[string]func(dir string) error{
		"files and folders":   func(dir string) error { return errors.Join(write("passwd")(dir), os.Mkdir(dir+"/ssl", 0o700)) },
		"beside a record":     write(record, ".lock", "passwd"),
		"hidden":              write(".bashrc"),
		"almost a record":     write("docker_web.eth1.0123456789AB.json"),
		"almost a lock":       write(".locks"),
		"almost a new record": write(tempPrefix + "file"),
		"link":                func(dir string) error { return os.Symlink("/nowhere", dir+"/to") },
		"FIFO":                func(dir string) error { return unix.Mkfifo(dir+"/fifo", 0o600) },
		"marker is a link":    func(dir string) error { return errors.Join(write("passwd")(dir), os.Symlink("passwd", dir+"/"+marker)) },
		"marker is a folder":  func(dir string) error { return errors.Join(write("passwd")(dir), os.Mkdir(dir+"/"+marker, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := fill(dir); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			s, err := Open(dir, kinds...)
			if err == nil {
				_, damaged, _ := s.All()
				t.Errorf("opened; %v", damaged)
				_ = s.Close()
			} else if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "choose an empty directory") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("it was changed:\n%s", diff)
			}
		})
	}
}

// TestOwnDirectory has directories that are pipework's: empty ones, those that an
// earlier version left, and those with the marker, whatever else is in them.
func TestOwnDirectory(t *testing.T) {
	for name, fill := range map[string]func(dir string) error{
		"empty":           func(string) error { return nil },
		"new file system": func(dir string) error { return os.Mkdir(dir+"/lost+found", 0o700) },
		"earlier version": func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/.lock", nil, 0o600), os.WriteFile(dir+"/.new-0123456789abcdef", nil, 0o600),
				os.WriteFile(dir+"/netns_web.eth1.a8e77b9ad89a.json", nil, 0o600), os.Mkdir(dir+"/damaged", 0o700))
		},
		"marked": func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/"+marker, nil, 0o600), os.WriteFile(dir+"/README", nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			real := t.TempDir()
			if err := fill(real); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "link") // which may be one
			if err := os.Symlink(real, dir); err != nil {
				t.Fatal(err)
			}
			before := tree(t, real)
			s, err := Open(dir, kinds...)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if diff := cmp.Diff(before, tree(t, real)); diff != "" {
				t.Errorf("opening it changed it:\n%s", diff)
			}
			put(t, s, web(func(*Record) {}))
			if st, err := os.Lstat(dir + "/" + marker); err != nil || !st.Mode().IsRegular() {
				t.Errorf("no marker: %v", err)
			}
		})
	}
}

// TestOthersFilesStay puts files of others beside the records: whatever is done with
// the records, they stay.
func TestOthersFilesStay(t *testing.T) {
	s := store(t)
	put(t, s, web(func(*Record) {}))
	path := func(name string) string { return filepath.Join(s.Dir(), name) }
	names := []string{"README", "web.json", ".new-draft", "docker_web.eth1.0123456789ab.json.bak", "damaged.txt", "x.y.z.json"}
	for _, name := range names {
		if err := os.WriteFile(path(name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(path("ssl"), 0o700); err != nil {
		t.Fatal(err)
	}
	again, err := Open(s.Dir(), kinds...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	wantAll(t, again, 0, withName(web(func(*Record) {})))
	if err := again.sweep(); err != nil {
		t.Error(err)
	}
	for _, name := range append(names, "ssl") {
		if _, err := os.Lstat(path(name)); err != nil {
			t.Error(err)
		}
	}
}

// TestOpenExisting makes nothing.
func TestOpenExisting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := OpenExisting(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was made: %v", err)
	}
}

// TestRecordNames has every name that a record gets known as one.
func TestRecordNames(t *testing.T) {
	for _, k := range []key{
		{"docker:web", "eth1"}, {"..", ".."}, {"/proc/1/ns/net", "eth0.100"}, {strings.Repeat("x", 4000), "123456789012345"}, {"été a", "a-b_c"},
	} {
		if !isRecord(k.file()) {
			t.Errorf("%q is taken for no record's name", k.file())
		}
	}
	for _, name := range []string{"passwd", "a.b.json", "a.b.0123456789ab.json.1", ".b.0123456789ab.json", "a..0123456789ab.json",
		"a.b.0123456789a.json", "a.b.0123456789ag.json", "a.b.0123456789AB.json", "a.b.0123456789ab.JSON", "a b.c.0123456789ab.json",
		strings.Repeat("x", 81) + ".b.0123456789ab.json", "a.1234567890123456.0123456789ab.json"} {
		if isRecord(name) {
			t.Errorf("%q is taken for a record's name", name)
		}
	}
	if !slices.ContainsFunc([]string{tempPrefix + "0123456789abcdef"}, isNew) || isNew(tempPrefix+"0") || isNew(tempPrefix+"0123456789abcdeg") {
		t.Error("names of records that are being written")
	}
}

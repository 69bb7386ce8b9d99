//go:build linux

package keep_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-pipework/pipework/keep"
)

// TestNote writes, reads and removes a note beside the records, which takes it for its own: a
// directory with a note alone is opened again.
func TestNote(t *testing.T) {
	dir := t.TempDir()
	s, err := keep.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	n := keep.Note{Kind: "uplink", Of: "br0.100"}
	if _, err := s.Note(n); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := s.PutNote(n, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := s.PutNote(n, []byte("two")); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Note(n); string(b) != "two" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := s.PutNote(keep.Note{Kind: "uplink", Of: "br1"}, []byte("three")); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Notes("uplink"); err != nil || string(bytes.Join(all, []byte(" "))) != "two three" {
		t.Errorf("%s, %v", all, err)
	}
	if all, err := s.Notes("up"); err != nil || len(all) > 0 {
		t.Errorf("%s, %v", all, err)
	}
	if err := s.PutNote(n, bytes.Repeat([]byte("x"), 5<<20)); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(dir, ".pipework")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	again, err := keep.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if all, damaged, err := again.All(); len(all)+len(damaged) > 0 || err != nil {
		t.Error(all, damaged, err)
	}
	if err := s.DeleteNote(keep.Note{Kind: "uplink", Of: "br1"}); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "uplink.br0_100.*"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	if err := os.Chmod(files[0], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Note(n); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("others could have written it: %v", err)
	}
	for range 2 {
		if err := again.DeleteNote(n); err != nil {
			t.Error(err)
		}
	}
	if _, err := again.Note(n); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

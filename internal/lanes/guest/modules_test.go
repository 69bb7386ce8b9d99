//go:build linux

package guest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestModuleFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "6.1.0")
	dep := "kernel/net/8021q/8021q.ko: kernel/net/802/mrp.ko kernel/net/llc/llc.ko\n" +
		"kernel/lib/crc-ccitt.ko:\n"
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "modules.dep"), []byte(dep), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{dir, filepath.Dir(dir)} {
		mods, err := ReadModules(at)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string][]string{
			"8021q":     {"kernel/net/llc/llc.ko", "kernel/net/802/mrp.ko", "kernel/net/8021q/8021q.ko"},
			"crc_ccitt": {"kernel/lib/crc-ccitt.ko"},
			"crc-ccitt": {"kernel/lib/crc-ccitt.ko"},
		} {
			got, err := mods.Files(name)
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		if _, err := mods.Files("zebra"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
}

func TestStatus(t *testing.T) {
	share, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer share.Close()
	if _, err := ReadStatus(share.FS()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for want, code := range map[Status]int{{}: 0, {Exit: 3}: 3, {Signal: 9}: 137} {
		if err := writeStatus(share, want); err != nil {
			t.Fatal(err)
		}
		got, err := ReadStatus(share.FS())
		if err != nil || got != want || got.Code() != code {
			t.Errorf("got %v (code %d), %v; want %v (code %d)", got, got.Code(), err, want, code)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	if err := Init(); !errors.Is(err, ErrNotInit) {
		t.Error(err)
	}
}

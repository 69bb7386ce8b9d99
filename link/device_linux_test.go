package link

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDevicesRenamedAllTheTime looks for a device where one name leads nowhere whenever
// it is looked at: not to have seen all is not to have found none.
func TestDevicesRenamedAllTheTime(t *testing.T) {
	dir := t.TempDir()
	class := filepath.Join(dir, "class", "net")
	if err := os.MkdirAll(filepath.Join(class, "eth0"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(class, "eth0", "ifindex"), []byte("7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(class, "eth1")); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := &devices{sysfs: fd}
	defer d.close()
	eth0, _, err := d.device("eth0")
	if err != nil {
		t.Fatal(err)
	}
	if found, err := d.indexes(map[deviceID]bool{eth0: true}); err != nil || found[eth0] != 7 {
		t.Errorf("of one that is there: %v, %v", found, err)
	}
	if found, err := d.indexes(map[deviceID]bool{eth0: true, eth0 + 1: true}); err == nil {
		t.Errorf("of one that may be the other: %v, and no error", found)
	}
}

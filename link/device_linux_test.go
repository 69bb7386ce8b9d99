package link

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// fakeDevices are a sysfs of one device, eth0 with index 7, and of a name that leads nowhere.
func fakeDevices(t *testing.T) (d *devices, class string) {
	t.Helper()
	dir := t.TempDir()
	class = filepath.Join(dir, "class", "net")
	makeDevice(t, filepath.Join(class, "eth0"), "7\n")
	if err := os.Symlink("nowhere", filepath.Join(class, "eth1")); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	d = &devices{sysfs: fd}
	t.Cleanup(d.close)
	return d, class
}

func makeDevice(t *testing.T, path, index string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "ifindex"), []byte(index), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDevicesRenamedAllTheTime looks for a device where one name leads nowhere whenever
// it is looked at: not to have seen all is not to have found none.
func TestDevicesRenamedAllTheTime(t *testing.T) {
	d, _ := fakeDevices(t)
	eth0, _, err := d.device("eth0")
	if err != nil {
		t.Fatal(err)
	}
	if found, err := d.indexes(t.Context(), map[deviceID]bool{eth0: true}); err != nil || found[eth0] != 7 {
		t.Errorf("of one that is there: %v, %v", found, err)
	}
	if found, err := d.indexes(t.Context(), map[deviceID]bool{eth0: true, eth0 + 1: true}); err == nil {
		t.Errorf("of one that may be the other: %v, and no error", found)
	}
}

// TestDevicesSlowlyMoved has a name lead nowhere, or to a device that has just ended, for
// many looks: they go on until it is there, or gone.
func TestDevicesSlowlyMoved(t *testing.T) {
	for name, row := range map[string]struct {
		begin, end func(class string) error
		index      int // of the device that is there in the end; 0: it is gone
	}{
		"comes": {end: func(class string) error { return os.Symlink("../../eth1", filepath.Join(class, "eth1")) }, index: 9},
		"goes":  {end: func(string) error { return nil }},
		"ends": {
			begin: func(class string) error { return os.Symlink("../../ending", filepath.Join(class, "eth1")) },
			end:   func(string) error { return nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, class := fakeDevices(t)
			makeDevice(t, filepath.Join(class, "../../eth1"), "9\n")
			makeDevice(t, filepath.Join(class, "../../ending"), "")
			if row.begin != nil {
				ok(t, os.Remove(filepath.Join(class, "eth1")))
				ok(t, row.begin(class))
			}
			looks, found := 0, map[int]bool{}
			err := d.each(t.Context(), func(_ deviceID, index int) bool {
				if found[index] = true; index != 7 {
					return false
				}
				if looks++; looks == 50 {
					ok(t, os.Remove(filepath.Join(class, "eth1")))
					ok(t, row.end(class))
				}
				return false
			})
			if err != nil || row.index != 0 && !found[row.index] || looks < 50 {
				t.Errorf("after %d looks: %v, %v", looks, found, err)
			}
		})
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

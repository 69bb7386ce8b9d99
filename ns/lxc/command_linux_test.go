package lxc

import (
	"strings"
	"testing"
)

// TestAddress has the names that LXC 5.0.2 listens at; the longest that is not hashed
// has 105 bytes. A test of package find asks the real one on both sides of that.
func TestAddress(t *testing.T) {
	for _, row := range []struct{ dir, name, want string }{
		{"/var/lib/lxc", "db", "/var/lib/lxc/db/command"},
		{"/" + strings.Repeat("d", 92), "far", "/" + strings.Repeat("d", 92) + "/far/command"},
		{"/" + strings.Repeat("d", 93), "far", "lxc/"},
	} {
		if got := address(row.dir, row.name); !strings.HasPrefix(got, row.want) {
			t.Errorf("%s/%s: %s", row.dir, row.name, got)
		}
	}
}

// TestIsBelow has the control groups of processes, as proc(5) tells them.
func TestIsBelow(t *testing.T) {
	for line, want := range map[string]bool{
		"0::/lxc.payload.db":                     true,
		"0::/lxc.payload.db/init.scope":          true,
		"0::/machine.slice/lxc.payload.db":       true,
		"9:name=systemd:/lxc.payload.db-1":       true,
		"0::/lxc.payload.db-12/init.scope":       true,
		"0::/lxc.payload.db2":                    false,
		"0::/lxc.payload.db-x":                   false,
		"0::/lxc.payload.db-":                    false,
		"0::/xlxc.payload.db":                    false,
		"0::/lxc.monitor.db":                     false,
		"0::/":                                   false,
		"":                                       false,
		"0::/lxc.payload.web/lxc.payload.db":     false,
		"0::/x/lxc.payload.web/a/lxc.payload.db": false,
		"0::/docker/abc/system.slice/db.service": false,
	} {
		if isBelow(line, "lxc.payload.db") != want {
			t.Errorf("%q: %v", line, !want)
		}
	}
	if !isBelow("0::/mine/db", "/mine/db/") {
		t.Error("a group of the container's config")
	}
}

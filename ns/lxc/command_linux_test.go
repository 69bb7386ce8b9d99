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

package keep

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMerge has two lines typed for one interface.
func TestMerge(t *testing.T) {
	for _, row := range []struct{ name, old, new, want string }{
		{"same", "br1 web 10.0.0.2/24", "br1 web 10.0.0.2/24", "br1 web 10.0.0.2/24"},
		{"another address", "br1 web 10.0.0.2/24@10.0.0.1", "br1 web 10.0.0.3/24", "br1 web 10.0.0.2/24@10.0.0.1,10.0.0.3/24"},
		{"another family", "br1 web 10.0.0.2/24@10.0.0.1", "--forward br1 web fd00::2/64@fd00::1", "br1 web 10.0.0.2/24@10.0.0.1,fd00::2/64@fd00::1"},
		{"the same gateway", "br1 web 10.0.0.2/24@10.0.0.1", "br1 web 10.0.0.3/24@10.0.0.1", "br1 web 10.0.0.2/24@10.0.0.1,10.0.0.3/24"},
		{"what made it says more", "--forward mac:02:00:00:00:00:09 -l v1 web dhcp 02:00:00:00:00:01", "eth0 web 10.0.0.3/24", "--forward mac:02:00:00:00:00:09 -l v1 web 10.0.0.3/24,dhcp 02:00:00:00:00:01"},
		{"no line", "nonsense", "br1 web 10.0.0.2/24", "br1 web 10.0.0.2/24"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(strings.Fields(row.want), merge(strings.Fields(row.old), strings.Fields(row.new))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

//go:build linux

package pipework

import (
	"testing"

	"github.com/go-pipework/pipework/internal/rtnl"
)

// TestBeyond has a list leave out what leads to another host, also to one that is ending, which
// has no number any more: so has this host in a guest of others'.
func TestBeyond(t *testing.T) {
	for name, row := range map[string]struct {
		l      rtnl.Link
		number int
		want   bool
	}{
		"this host":                       {rtnl.Link{Foreign: true, NSID: 3}, 3, false},
		"another":                         {rtnl.Link{Foreign: true, NSID: 4}, 3, true},
		"one that ends":                   {rtnl.Link{Foreign: true, NSID: -1}, 3, true},
		"one that ends, of a guest of it": {rtnl.Link{Foreign: true, NSID: -1}, -1, true},
		"nobody else":                     {rtnl.Link{}, -1, false},
	} {
		if got := beyond(&row.l, row.number); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

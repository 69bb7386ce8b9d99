//go:build linux

package pipework_test

import (
	"slices"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/link"
)

// TestListOfOtherHosts has a guest be another host, with a guest of its own: a list of everything
// has that only there.
func TestListOfOtherHosts(t *testing.T) {
	_, inner := nstest.Guest(t)
	target, _ := nstest.Guest(t)
	nested := pipework.Attacher{Host: inner.Handle}
	onBridge := spec("eth1", "br1", "10.1.0.2/24")
	onNIC := pipework.Spec{Name: "eth2", Link: link.Macvlan{Parent: "nic"}}
	ip(t, inner, "ip", "link", "add", "nic", "type", "veth", "peer", "name", "wire")
	for _, s := range []pipework.Spec{onBridge, onNIC} {
		if _, err := nested.Attach(t.Context(), target, s); err != nil {
			t.Fatal(err)
		}
	}
	own := spec("eth3", "br3", "10.3.0.2/24")
	attach(t, target, own)
	for name, row := range map[string]struct {
		of   *pipework.Attacher
		list []pipework.Target
		want []string
	}{
		"everything":             {of: &pipework.Attacher{}, want: []string{"eth3"}},
		"everything, there":      {of: &nested, want: []string{"eth1", "eth2"}},
		"a guest that was named": {of: &pipework.Attacher{}, list: []pipework.Target{target}, want: []string{"eth1", "eth2", "eth3"}},
	} {
		all, err := row.of.List(t.Context(), row.list...)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, at := range all {
			if at.Guest.Name == "netns:"+string(target) {
				names = append(names, at.Name)
			}
		}
		if slices.Sort(names); !slices.Equal(names, row.want) {
			t.Errorf("%s: %q, want %q", name, names, row.want)
		}
	}
	detach(t, target, own)
	for _, s := range []pipework.Spec{onBridge, onNIC} {
		if _, err := nested.Detach(t.Context(), target, s); err != nil {
			t.Error(err)
		}
	}
}

//go:build linux

package plugin_test

import (
	"testing"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/plugin"
)

func TestMain(m *testing.M) { nstest.Main(m) }

// TestDeclare: what cannot be attached takes away what was new with it, and nothing else.
func TestDeclare(t *testing.T) {
	nstest.CleanHost(t)
	h, err := plugin.Open(t.TempDir(), config.Declarations{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	name, _ := nstest.Guest(t)
	guest := ns.Ref{Kind: ns.Netns, Name: string(name)}
	c := &ns.Container{ID: "3f2a", Name: "web", ImageKnown: true, Labels: map[string]string{"pipework.eth1": "br-decl 10.8.0.2/24"}}
	declare := func(all int) {
		t.Helper()
		if got, err := h.Declare(t.Context(), guest, c); len(got) != all || (err == nil) != (all > 0) {
			t.Errorf("%v, %v", got, err)
		}
	}
	declare(1)
	c.Labels["pipework.eth2"], c.Labels["pipework.eth3"] = "br-decl 10.8.0.3/24", "macvlan:nosuch0 10.8.0.4/24"
	declare(0)
	records, damaged, err := h.Store.All()
	if len(records) != 1 || records[0].Interface != "eth1" || len(damaged) > 0 || err != nil {
		t.Errorf("%v, %v, %v", records, damaged, err)
	}
	if _, err := h.DetachGuest(t.Context(), guest, keep.DetachOptions{}); err != nil {
		t.Error(err)
	}
}

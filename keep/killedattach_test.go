//go:build linux

package keep_test

import (
	"context"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// TestDetachAfterKill kills an attach at every step: a detach leaves nothing of it, nor of the
// bridge that it has made, also where the interface had no mark yet.
func TestDetachAfterKill(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, "", "netns:web")
	ref := ns.ParseRef("netns:web")
	line, err := config.Parse(strings.Fields("br1 netns:web 10.0.0.2/24@10.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	before := nstest.Observe(t)
	contract.EveryKill(t, func(ctx context.Context) error {
		d, err := p.Declared(t.Context(), line)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = p.Attach(ctx, ref, d)
		if err != nil { // who is killed does not take the record back
			d.Spec.Name = "eth1"
			if err := p.Store.Put(keep.Record{Guest: ref, Interface: "eth1", Spec: d.Spec, Source: keep.FromCommand, Phase: keep.Intent}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.Detach(t.Context(), ref, "eth1", keep.DetachOptions{}); err != nil {
			t.Error(err)
		}
		before.Unchanged(t)
		return err
	})
}

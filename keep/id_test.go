//go:build linux

package keep_test

import (
	"testing"

	"github.com/go-pipework/pipework/internal/keeptest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// TestOneID has every verb tell the same ID of a container.
func TestOneID(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, id("web"), "docker:web")
	ref := ns.ParseRef("docker:web")
	d, err := p.Declared(t.Context(), keeptest.LineOf(t, "br1 docker:web 10.0.0.2/24"))
	if err != nil {
		t.Fatal(err)
	}
	at, _, err := p.Attach(t.Context(), ref, d)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{"attach": at.Guest.ID}
	found, err := p.Status(t.Context(), ref)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	got["check"] = found[0].Attachment.Guest.ID
	all, err := p.List(t.Context(), p.Target(ref))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	got["list"] = all[0].Guest.ID
	r, err := p.Detach(t.Context(), ref, "", keep.DetachOptions{})
	if err != nil || r == nil {
		t.Fatal(r, err)
	}
	got["detach"] = r.Attachment.Guest.ID
	for verb, told := range got {
		if told != id("web") {
			t.Errorf("%s: %q", verb, told)
		}
	}
}

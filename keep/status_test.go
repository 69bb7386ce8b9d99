//go:build linux

package keep_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// statuses are what is found of these guests: the record's guest, and the state.
func statuses(t *testing.T, p *keep.Plugger, guests ...string) (got []string) {
	t.Helper()
	var refs []ns.Ref
	for _, g := range guests {
		refs = append(refs, ns.ParseRef(g))
	}
	found, err := p.Status(t.Context(), refs...)
	if err != nil {
		t.Error(err)
	}
	for _, f := range found {
		got = append(got, f.Guest.String()+" "+f.Interface+" "+string(f.State))
	}
	return got
}

// TestStatusByAnotherWord asks for guests that are recorded under another word.
func TestStatusByAnotherWord(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, id("web"), "docker:web", "docker:"+id("web")[:12], "docker:"+id("web"), "cgroup:web")
	guests.settle(t, "default/app", "containerd:default/app", "containerd:app")
	for _, line := range []string{"br1 docker:web 10.0.0.2/24", "br1 -i eth2 docker:web 10.0.0.3/24", "br1 containerd:default/app 10.0.0.4/24"} {
		plugIn(t, p, line)
	}
	web, app := []string{"docker:web eth1 ok", "docker:web eth2 ok"}, []string{"containerd:default/app eth1 ok"}
	check := func(guest string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, statuses(t, p, guest)); diff != "" {
			t.Errorf("check %s (-want +got):\n%s", guest, diff)
		}
	}
	for _, word := range []string{"docker:web", "docker:" + id("web")[:12], "docker:" + id("web"), "cgroup:web"} {
		check(word, web...)
	}
	check("containerd:app", app...)
	both := append(app, web...)
	if diff := cmp.Diff(both, statuses(t, p, "cgroup:web", "containerd:app")); diff != "" {
		t.Errorf("check of both (-want +got):\n%s", diff)
	}
	guests.rename("docker:web", "docker:old")
	check("docker:web", web...)
	check("docker:old", web...)
	delete(guests, "containerd:default/app")
	delete(guests, "containerd:app")
	check("containerd:app", "containerd:default/app eth1 absent")
	if full := p.Store.Guest("app"); full.String() != "containerd:default/app" {
		t.Errorf("app is %q", full)
	}
	unplugs(t, p, "containerd:app", "", "", "docker:web eth1", "docker:web eth2")
	guests.settle(t, "", "netns:web")
	for _, word := range []string{"netns:web", "netns:nobody"} {
		if found, err := p.Status(t.Context(), ns.ParseRef(word)); !errors.Is(err, fs.ErrNotExist) || found != nil {
			t.Errorf("check %s: %+v, %v", word, found, err)
		}
	}
}

// TestTwoOfContainerd has one ID in two namespaces of containerd.
func TestTwoOfContainerd(t *testing.T) {
	guests, p := newTown(t)
	for _, name := range []string{"a/app", "b/app"} {
		guests.settle(t, name, "containerd:"+name)
		plugIn(t, p, "br1 containerd:"+name+" 0/0")
	}
	for word := range guests {
		guests[word] = ns.Identity{}
	}
	if full := p.Store.Guest("app"); full != (ns.Ref{}) {
		t.Errorf("app is %q", full)
	}
	if r, err := p.Detach(t.Context(), ns.ParseRef("containerd:app"), "", keep.DetachOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestStatusWithoutRecords has nobody keep any.
func TestStatusWithoutRecords(t *testing.T) {
	p := keep.Plugger{Target: byText(words)}
	if found, err := p.Status(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := p.Status(t.Context(), ns.ParseRef("netns:web")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

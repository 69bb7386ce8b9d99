//go:build linux

package keep_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// TestRecordOfAnotherKindStays has a Store that was not opened for the kinds of links
// that there are records of: nothing of them is lost.
func TestRecordOfAnotherKindStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, err := keep.Open(dir, link.Kinds()...)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	rec := keep.Record{Guest: ns.ParseRef("docker:web"), Interface: "eth1", Spec: onBridgeSpec("br1", "10.0.0.1/24"), Source: keep.FromCommand, Phase: keep.Attached}
	must(t, s.Put(rec))
	other, err := keep.Open(dir, link.KindOf[link.Dummy]("dummy"))
	must(t, err)
	t.Cleanup(func() { _ = other.Close() })
	if all, said, err := other.All(); err != nil || len(all) != 0 || len(said) != 1 || !errors.Is(said[0], errors.ErrUnsupported) {
		t.Errorf("%v, %v, %v", all, said, err)
	}
	if _, err := other.Get(rec.Guest, "eth1"); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := other.Put(rec); !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), `no kind is called "bridge"`) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.Get(rec.Guest, "eth1"); err != nil {
		t.Error(err)
	}
}

// TestKilledCallOfALine has a call be killed whose record, of version 1, does not know
// the link yet: what it made is taken away.
func TestKilledCallOfALine(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, "", "netns:web")
	must(t, p.Store.Put(keep.Record{Guest: ns.ParseRef("netns:web"), Interface: "eth1", Source: keep.FromCommand, Phase: keep.Intent}))
	outdate(t, p.Store, `{"version": 1, "guest": "netns:web", "interface": "eth1", "source": "command", "phase": "intent", "line": ["br1", "netns:web", "10.0.0.8/24"]}`)
	_, err := pipework.Attach(t.Context(), guests.Target("netns:web"), onBridgeSpec("br1", "10.0.0.8/24"))
	must(t, err)
	if done, err := p.Collect(t.Context()); err != nil || len(done) == 0 {
		t.Errorf("%q, %v", done, err)
	}
	if got := guests.interfaces(t, "netns:web"); len(got) > 0 {
		t.Errorf("it has %v", got)
	}
	if got := recorded(t, p); len(got) > 0 {
		t.Errorf("records %v", got)
	}
}

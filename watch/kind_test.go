//go:build linux

package watch_test

import (
	"errors"
	"io/fs"
	"net"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
	"github.com/go-pipework/pipework/watch"
)

// TestRecordedKind has host interfaces that mean another kind now than when they
// were recorded: typed again, compared and watched, it is an error, and nothing is
// made.
func TestRecordedKind(t *testing.T) {
	db := ovstest.Start(t)
	db.Vsctl(t, "--no-wait", "add-br", "br-new")
	client := &ovs.Client{Endpoint: db.Endpoint}
	t.Cleanup(func() { _ = client.Close() })
	r := newRuntime(t)
	for _, c := range []struct {
		word, was string
		link      link.Backend
	}{
		{"br-lost", "ovs:br-lost", ovs.Bridge{Name: "br-lost"}}, {"br-new", "bridge:br-new", link.Bridge{Name: "br-new"}},
		{"dummy-lost", "macvlan:dummy-lost", link.Macvlan{Parent: "dummy-lost"}},
	} {
		t.Run(c.was, func(t *testing.T) {
			s := store(t)
			guest, _ := nstest.Guest(t)
			rec := keep.Record{
				Guest: ns.Ref{Kind: ns.Netns, Name: string(guest)}, Interface: "eth1", Spec: pipework.Spec{Link: c.link, Addrs: addrs("10.0.0.2/24")},
				Source: keep.FromCommand, Phase: keep.Attached, Attachment: &pipework.Attachment{Link: c.was},
			}
			label := rec
			label.Guest, label.Source = ns.ParseRef("docker:web"), keep.FromLabel
			label.Spec = pipework.Spec{Link: c.link, Addrs: addrs("10.0.0.3/24")}
			for _, rec := range []keep.Record{rec, label} {
				if err := s.Put(rec); err != nil {
					t.Fatal(err)
				}
			}
			p := keep.Plugger{Store: s, Target: byText(words), OVS: client}
			line := lineOf(t, c.word+" netns:"+string(guest)+" 10.0.0.2/24")
			d, err := p.Declared(t.Context(), line)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := p.Attach(t.Context(), rec.Guest, d); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "recorded as plugged into "+c.was) {
				t.Errorf("typed again: %v", err)
			}
			r.run("web", map[string]string{"pipework.eth1": c.word + " 10.0.0.3/24"})
			w := runWatcher(t, &watch.Watcher{Plugger: p, Sources: []ns.Source{r}})
			testwait.Eventually(t, "both are refused", func() bool {
				said := w.said.String()
				return strings.Contains(said, "eth1 of "+rec.Guest.String()+" is recorded as plugged into "+c.was) &&
					strings.Contains(said, "eth1 of docker:web is recorded as plugged into "+c.was)
			})
			r.remove("web")
			if _, err := net.InterfaceByName(c.word); err == nil {
				t.Errorf("%s was made", c.word)
			}
			kept, err := s.Get(rec.Guest, "eth1")
			if err != nil || kept.Attachment == nil || kept.Attachment.Link != c.was {
				t.Errorf("the record is %+v, %v", kept, err)
			}
			if all, err := pipework.List(t.Context(), guest); err != nil || len(all) > 0 {
				t.Errorf("plugged in: %+v, %v", all, err)
			}
		})
	}
}

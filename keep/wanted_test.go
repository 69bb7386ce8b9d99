//go:build linux

package keep_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// TestRenamed has a container keep what was typed under another name, until one
// that is made takes the name.
func TestRenamed(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.run("web", nil)
	typed(t, r.plugger(s), "br1 docker:web 10.0.0.1/24")
	w := watch(t, &keep.Watcher{Plugger: r.plugger(s), Sources: []ns.Source{r}})
	r.rename("web", "old")
	r.restart("web")
	first := has(t, r.Container(id("web")), "eth1")

	r.kill("web")
	r.run("new", nil)
	r.rename("new", "web")
	r.restart("new")
	if now := has(t, r.Container(id("new")), "eth1"); now["eth1"] != first["eth1"] {
		t.Errorf("another MAC or address: %v, was %v", now, first)
	}
	eventually(t, "the record is the new one's", func() bool {
		rec, err := s.Get("docker:web", "eth1")
		return err == nil && rec.GuestID == id("new") && rec.Attachment.Guest.ID == id("new")
	})
	r.start("web") // which is called old
	eventually(t, "it was looked at", func() bool { return w.metrics()["guests"] == "1" && w.metrics()[`events_total{action="start"}`] == "5" })
	time.Sleep(100 * time.Millisecond)
	has(t, r.Container(id("web")))
	has(t, r.Container(id("new")), "eth1")
}

// TestProcessByPath has a record of a process by the path of its namespace, under
// whose number there is another one by now.
func TestProcessByPath(t *testing.T) {
	s := store(t)
	p := nstest.Process(t)
	for i, word := range []string{"netns:/proc/%d/ns/net", "netns://proc/%d/ns/../ns/net", "/./proc/%d/ns/net"} {
		word = fmt.Sprintf(word, p.PID)
		name := fmt.Sprint("eth", i)
		must(t, s.Put(keep.Record{
			Guest: word, Interface: name, Line: []string{"br1", "-i", name, word, "10.0.0.9/24"}, Source: keep.FromCommand, Phase: keep.Attached,
		}))
	}
	to := func(word string) pipework.Target { return ns.Path(strings.TrimPrefix(word, "netns:")) }
	w := watch(t, &keep.Watcher{Plugger: keep.Plugger{Store: s, Target: to}, Poll: 20 * time.Millisecond})
	eventually(t, "they were looked at", func() bool { return w.metrics()["failures_total"] == "3" })
	has(t, ns.PID(p.PID))
}

// TestContainerOfAnotherUser is one that no source tells of, though there is a
// source of its kind.
func TestContainerOfAnotherUser(t *testing.T) {
	s, r := store(t), newRuntime(t)
	r.kind = "podman"
	g, _ := nstest.Guest(t)
	must(t, s.Put(keep.Record{
		Guest: "podman:alice/web", Interface: "eth1", Line: []string{"br1", "podman:alice/web", "10.0.0.1/24"}, Source: keep.FromCommand, Phase: keep.Attached,
	}))
	p := keep.Plugger{Store: s, Target: func(string) pipework.Target { return g }}
	watch(t, &keep.Watcher{Plugger: p, Sources: []ns.Source{r}, Poll: 20 * time.Millisecond})
	has(t, g, "eth1")
}

// TestForgetsWhileAnEngineIsAway has one engine not answer: what the other one's
// containers declared is forgotten with them, and only that.
func TestForgetsWhileAnEngineIsAway(t *testing.T) {
	s, docker, podman := store(t), newRuntime(t), newRuntime(t)
	podman.kind = "podman"
	label := map[string]string{"pipework.eth1": "br1 10.0.0.2/24"}
	docker.run("web", label)
	podman.run("db", label)
	watch(t, &keep.Watcher{Plugger: keep.Plugger{Store: s}, Sources: []ns.Source{docker, podman}})
	recorded := func(guest string) bool {
		_, err := s.Get(guest, "eth1")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return err == nil
	}
	eventually(t, "both are recorded", func() bool { return recorded("docker:web") && recorded("podman:db") })
	podman.away.Store(true)
	podman.remove("db")
	docker.remove("web")
	eventually(t, "the container is forgotten", func() bool { return !recorded("docker:web") })
	if !recorded("podman:db") {
		t.Error("nobody knows whether the other one is gone")
	}
}

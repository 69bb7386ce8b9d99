//go:build linux

package watch_test

import (
	"os"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

// TestWithoutInotify has no instance of inotify left, as after a container of root's that
// took all: the Watcher says so, works, and sees new records.
func TestWithoutInotify(t *testing.T) {
	const limit = "/proc/sys/user/max_inotify_instances" // of the sandbox's user namespace
	before, err := os.ReadFile(limit)
	must(t, err)
	must(t, os.WriteFile(limit, []byte("0"), 0))
	t.Cleanup(func() { must(t, os.WriteFile(limit, before, 0)) })
	s := store(t)
	g, _ := nstest.Guest(t)
	p := keep.Plugger{Store: s, Target: func(ns.Ref) pipework.Target { return g }}
	w := runWatcher(t, &watch.Watcher{Plugger: p})
	testwait.Eventually(t, "it is told", func() bool { return strings.Contains(w.said.String(), "see sysctl fs.inotify") })
	must(t, s.Put(keep.Record{
		Guest: ns.ParseRef("netns:" + string(g)), Interface: "eth1", Spec: onBridgeSpec("br1", "10.0.0.1/24"), Source: keep.FromCommand, Phase: keep.Attached,
	}))
	has(t, g, "eth1")
}

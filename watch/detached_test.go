//go:build linux

package watch_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/watch"
)

// A slowTarget is a guest that opens late.
type slowTarget struct {
	pipework.Target
	opening func()
}

// Open opens it.
func (s slowTarget) Open(ctx context.Context) (*ns.Guest, error) {
	s.opening()
	return s.Target.Open(ctx)
}

// TestDetachedBeforeItIsAttached detaches what the Watcher has read, and is about to attach: it is not
// attached, not even for a moment.
func TestDetachedBeforeItIsAttached(t *testing.T) {
	s := store(t)
	g, _ := nstest.Guest(t)
	guest := ns.ParseRef("netns:" + string(g))
	must(t, s.Put(keep.Record{
		Guest: guest, Interface: "eth1", Spec: onBridgeSpec("br1", "10.0.0.1/24"), Source: keep.FromCommand, Phase: keep.Attached,
	}))
	links, done := make(chan netlink.LinkUpdate, 100), make(chan struct{})
	defer close(done)
	must(t, netlink.LinkSubscribe(links, done))
	begun, detached := make(chan struct{}), make(chan struct{})
	opening := sync.OnceFunc(func() {
		close(begun)
		<-detached
	})
	w := runWatcher(t, &watch.Watcher{Plugger: keep.Plugger{Store: s, Target: func(ns.Ref) pipework.Target { return slowTarget{g, opening} }}})
	testwait.Receive(t, "it is opened", begun)
	p := keep.Plugger{Store: s, Target: func(ns.Ref) pipework.Target { return g }}
	_, err := p.Detach(t.Context(), guest, "eth1", keep.DetachOptions{})
	must(t, err)
	close(detached)
	testwait.Eventually(t, "it is told", func() bool { return strings.Contains(w.said.String(), "meanwhile") })
	w.end()
	for {
		select {
		case l := <-links:
			if l.Attrs().Name == "br1" {
				t.Fatalf("the Watcher made %s", l.Attrs().Name)
			}
		default:
			return
		}
	}
}

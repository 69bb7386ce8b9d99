//go:build linux

package keep_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// TestAskingAgainHoldsNothing waits for a DHCP server that there is not: between two
// attempts others may work on the interface.
func TestAskingAgainHoldsNothing(t *testing.T) {
	guests, p := newTown(t)
	guests.settle(t, "", "netns:web")
	said := &lines{}
	asking := &keep.Plugger{Store: p.Store, Target: p.Target, Output: said}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		line, err := config.Parse([]string{"br1", "netns:web", "dhcp:-t 1 -T 1 -A 3600"})
		if err == nil {
			d, err2 := asking.Declared(ctx, line)
			if err = err2; err == nil {
				_, _, err = asking.Attach(ctx, ns.ParseRef(line.Guest), d)
			}
		}
		ended <- err
	}()
	testwait.Eventually(t, "it is about to ask again", func() bool { return strings.Contains(said.String(), "again in 1h0m0s") })
	if got := recorded(t, p); len(got) > 0 {
		t.Errorf("records %v", got)
	}
	soon, end := context.WithTimeout(t.Context(), 5*time.Second)
	defer end()
	if r, err := p.Detach(soon, ns.ParseRef("netns:web"), "", keep.DetachOptions{}); r != nil || err != nil {
		t.Errorf("detach: %+v, %v", r, err)
	}
	unlock, err := p.Store.Lock(soon, ns.ParseRef("netns:web"), "eth1")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	plugIn(t, p, "br1 netns:web 10.0.0.2/24")
	cancel()
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	unplugs(t, p, "netns:web", "", "eth1")
}

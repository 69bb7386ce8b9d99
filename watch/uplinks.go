package watch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/uplink"
)

// uplinks keep the host's NICs that are under bridges as was recorded.
type uplinks struct {
	plan   uplink.Plan
	log    logger
	calm   time.Duration // the longest that a difference has to stay away
	woken  chan struct{}
	drifts map[string]*drift // by the bridges' names
	said   map[string]string // what went wrong last, by the bridges' names

	mu    sync.Mutex
	names []string // of bridges and NICs
}

func newUplinks(p *keep.Plugger, calm time.Duration, log logger) *uplinks {
	return &uplinks{
		plan: uplink.Plan{Store: p.Store, Host: p.Host, OVS: p.OVS}, log: log, calm: calm, woken: make(chan struct{}, 1),
		drifts: map[string]*drift{}, said: map[string]string{},
	}
}

// wake has them compared soon.
func (u *uplinks) wake() {
	select {
	case u.woken <- struct{}{}:
	default:
	}
}

// heard is told of each link that something has happened to.
func (u *uplinks) heard(name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if slices.Contains(u.names, name) {
		u.wake()
	}
}

// follow compares them at first, once in an interval, and soon after something has happened, and
// mends what differs, until ctx ends.
func (u *uplinks) follow(ctx context.Context, interval time.Duration) error {
	if interval < 0 || u.plan.Store == nil {
		return nil
	}
	for {
		u.compare(ctx)
		timer := time.NewTimer(interval)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-u.woken:
			_ = pause.For(ctx, firstWake) // so much that who changes something has done so
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// compare compares each with its record, and mends it.
func (u *uplinks) compare(ctx context.Context) {
	all, err := uplink.List(ctx, u.plan)
	u.tell(ctx, "", "uplinks not compared", err)
	var names []string
	for _, s := range all {
		names = append(names, s.Bridge, s.NIC)
		u.mend(ctx, s)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.names = names
}

// mend mends what differs and was not mended for yet: what comes back soon is left so.
func (u *uplinks) mend(ctx context.Context, s uplink.Status) {
	d := u.drifts[s.Bridge]
	if d == nil {
		d = &drift{}
		u.drifts[s.Bridge] = d
	}
	d.is = s.Details
	if again := d.back(u.calm); len(again) > 0 {
		u.log.warn(ctx, "uplink not as recorded again, and left so", "bridge", s.Bridge, "nic", s.NIC, "drift", strings.Join(again, "; "))
	}
	if len(d.unmended()) == 0 {
		return
	}
	p := u.plan
	p.Bridge, p.NIC = s.Bridge, s.NIC
	working, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	done, err := uplink.Mend(working, p)
	if s.State == keep.Unfinished && errors.Is(err, context.DeadlineExceeded) {
		return // the call is at work, and waits for a probe
	}
	u.tell(ctx, s.Bridge, "uplink not mended", err)
	if len(done) > 0 {
		u.log.info("uplink mended", "bridge", s.Bridge, "nic", s.NIC, "drift", strings.Join(done, "; "))
	}
	if err == nil { // else it is tried again
		*d = d.all(mended)
	}
}

// tell tells once what went wrong.
func (u *uplinks) tell(ctx context.Context, bridge, what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if u.said[bridge] != text && err != nil {
		u.log.warn(ctx, what, "bridge", bridge, "error", err)
	}
	u.said[bridge] = text
}

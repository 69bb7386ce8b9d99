package keep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/pause"
)

// checkInterval is how often keepLease checks whether the interface is still there.
const checkInterval = 2 * time.Second

// keepLease tells of each event, until ctx ends or the interface is gone. The lease
// stays in force when it returns.
func keepLease(ctx context.Context, p *Plugger, t pipework.Target, s pipework.Spec, at *pipework.Attachment) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kept := p.Kept(t, s, at)
	for i := range kept {
		kept[i].Event = func(e dhcp.Event) {
			text := e.Reason
			if text == "" && e.Lease != nil {
				text = fmt.Sprintf("%s until %s", e.Lease.Addr, e.Lease.Expires.Format(time.DateTime))
			}
			say(p, "%s: lease %s: %s", e.Interface, e.Kind, text)
		}
	}
	observer := p.observer()
	go func() {
		for pause.For(ctx, checkInterval) == nil {
			if _, err := observer.Check(ctx, t, pipework.Spec{Name: at.Name}); errors.Is(err, fs.ErrNotExist) {
				cancel()
			}
		}
	}()
	if err := dhcp.Keep(ctx, kept...); ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

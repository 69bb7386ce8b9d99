package watch

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/ovs"
)

// longestAsk bounds the time between two questions to Open vSwitch.
const longestAsk = 30 * time.Second

// awaitSwitch has a cleanup once Open vSwitch answers, which may start later than this does: its
// database may have NICs of the host in bridges that they were put under before the machine started
// again, and the host is cut off for as long. Where nothing tells of Open vSwitch, none is awaited.
func (c *cleanup) awaitSwitch(ctx context.Context, client *ovs.Client) error {
	for wait := time.Second; ; wait = min(2*wait, longestAsk) {
		_, _, err := client.Lookup(ctx, "ovs")
		if err == nil {
			c.request()
			return nil
		}
		if errors.Is(err, fs.ErrNotExist) || pause.For(ctx, wait) != nil {
			return nil
		}
	}
}

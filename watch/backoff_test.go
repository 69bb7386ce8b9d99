package watch

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
)

// TestServersAreNotPressed tries again within a tenth of a second, but not at a DHCP
// server.
func TestServersAreNotPressed(t *testing.T) {
	refused := &pipework.Error{Op: "attach", Stage: pipework.StageDHCP, Err: dhcp.ErrNAK}
	for _, test := range []struct {
		err         error
		least, most time.Duration
	}{
		{errors.New("no such bridge"), 0, 100 * time.Millisecond},
		{&pipework.Error{Op: "attach", Stage: pipework.StageLink, Err: errors.New("no such bridge")}, 0, 100 * time.Millisecond},
		{refused, time.Second, 2 * time.Second},
		{&pipework.Error{Op: "attach", Stage: pipework.StageDHCP, Err: fmt.Errorf("dhcp: %w", dhcp.ErrInUse)}, 10 * time.Second, 16 * time.Second},
		{fmt.Errorf("web: %w", refused), time.Second, 2 * time.Second},
	} {
		r, g := &reconciler{metrics: &metrics{}}, newGuest(ref{id: "web"})
		res := r.failed(t.Context(), g, "br1 web dhcp", test.err)
		if wait := backoff(firstRetry, res.failures); res.outcome != failing || wait < test.least || wait > test.most {
			t.Errorf("%v: again after %v", test.err, wait)
		}
	}
}

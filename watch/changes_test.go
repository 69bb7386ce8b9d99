//go:build linux

package watch

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/keeptest"
)

// TestChangesLeaveNothing has following end when its context does: nothing of it is at work
// when it returns.
func TestChangesLeaveNothing(t *testing.T) {
	s, stacks := keeptest.Store(t), make([]byte, 1<<20)
	for range 30 {
		c := newChanges(s)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.follow(ctx, func(context.Context) {}) }()
		cancel()
		keeptest.Must(t, <-ended)
		for g := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(g, "(*changes).follow.func") && strings.Contains(g, "os.(*File).Close") {
				t.Fatal(g)
			}
		}
	}
}

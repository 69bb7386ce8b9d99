//go:build linux

package watch

import (
	"context"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// TestLookAtTheFuture looks at a directory that was changed in the future, as the clock has it: it
// is read once.
func TestLookAtTheFuture(t *testing.T) {
	s := keeptest.Store(t)
	synctest.Test(t, func(t *testing.T) { // whose clock begins in the year 2000
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		n := 0
		keeptest.Must(t, (&changes{dir: s.Dir()}).look(ctx, func(context.Context) { n++ }))
		if n != 1 {
			t.Errorf("it was read %d times", n)
		}
	})
}

// TestLackOfADirectory follows a directory that is not there: no limit is to blame.
func TestLackOfADirectory(t *testing.T) {
	s := keeptest.Store(t)
	keeptest.Must(t, os.RemoveAll(s.Dir()))
	if err := newChanges(s).lack; err == nil || strings.Contains(err.Error(), "sysctl") {
		t.Error(err)
	}
}

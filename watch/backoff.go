package watch

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
)

// The waits between two attempts for a guest.
const (
	firstRetry = 50 * time.Millisecond // doubled each time
	lastRetry  = 30 * time.Second      // and not more
)

// backoff is the wait after the nth failure, counted from 0: first, doubled each
// time, and not more than lastRetry, a fifth more or less so that many do not
// come back together.
func backoff(first time.Duration, n int) time.Duration {
	wait := min(first<<min(n, 20), lastRetry)
	return wait*4/5 + rand.N(wait*2/5)
}

// failuresFor is how many failures have backoff wait for at least so long, from firstRetry.
func failuresFor(least time.Duration) int {
	n := 0
	for firstRetry<<n*4/5 < least {
		n++
	}
	return n
}

// leastFailures is how many failures this one counts for at least. A DHCP server that
// refused, or did not answer, is asked again after 1.6 seconds at first: it may
// refuse many guests at once. One that gave an address in use is asked again after
// dhcp.DeclineWait at the earliest.
func leastFailures(err error) int {
	if errors.Is(err, dhcp.ErrInUse) {
		return failuresFor(dhcp.DeclineWait)
	}
	if e, ok := errors.AsType[*pipework.Error](err); ok && e.Stage == pipework.StageDHCP {
		return 5
	}
	return 0
}

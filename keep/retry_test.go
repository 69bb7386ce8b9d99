package keep

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-pipework/pipework/dhcp"
)

// TestAsksAgain asks a server again that did not answer, or gave an address in use, where that
// was asked for.
func TestAsksAgain(t *testing.T) {
	for _, test := range []struct {
		retry time.Duration
		err   error
		want  time.Duration
	}{
		{0, os.ErrDeadlineExceeded, 0},
		{3 * time.Second, os.ErrDeadlineExceeded, 3 * time.Second},
		{0, dhcp.ErrInUse, 0},
		{3 * time.Second, fmt.Errorf("dhcp: %w", dhcp.ErrInUse), 10 * time.Second},
		{20 * time.Second, dhcp.ErrInUse, 20 * time.Second},
		{3 * time.Second, errors.New("no such bridge"), 0},
		{3 * time.Second, nil, 0},
	} {
		if got := (&Declared{Retry: test.retry}).again(test.err); got != test.want {
			t.Errorf("%v after %v: %v, want %v", test.retry, test.err, got, test.want)
		}
	}
}

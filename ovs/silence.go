package ovs

import (
	"errors"
	"sync"
	"time"

	"github.com/go-pipework/pipework/internal/ovsdb"
)

// silentTime is how long a server that let somebody wait in vain is not asked again: of
// many who come one after the other, the first alone waits.
const silentTime = 10 * time.Second

// A silence is that of a server that does not answer.
type silence struct {
	mu    sync.Mutex
	until time.Time
	why   error
}

// lasts is the error of who was kept waiting, or nil where the server may be asked.
func (s *silence) lasts() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().After(s.until) {
		return nil
	}
	return s.why
}

// heard notes how a transaction ended. Who had less time than this package gives has
// learned nothing.
func (s *silence) heard(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil, errors.As(err, new(*ovsdb.Refusal)):
		s.until = time.Time{}
	case errors.Is(err, ovsdb.ErrNoAnswer), errors.Is(err, errNoAnswer):
		s.until, s.why = time.Now().Add(silentTime), err
	}
}

package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/wire"
)

// Shaping makes an interface as slow and unreliable as a network that is to be
// tried out, or keeps it from taking too much of one. It goes with the interface.
// Rate alone is done by the kernel's tbf, anything more by its netem (CONFIG_NET_SCH_TBF,
// CONFIG_NET_SCH_NETEM).
type Shaping struct {
	// Rate is the most that passes, in bits per second; 0 stands for no bound.
	Rate int64 `json:"rate,omitempty"`
	// Delay is added to each packet, more or less as much as Jitter.
	Delay  time.Duration `json:"delay,omitempty"`
	Jitter time.Duration `json:"jitter,omitempty"`
	// Loss is how many of a hundred packets are lost at random.
	Loss float64 `json:"loss,omitempty"`
}

// String is the shaping as tc(8) would be told.
func (s Shaping) String() string {
	var words []string
	if s.Rate != 0 {
		words = append(words, fmt.Sprintf("rate %dbit", s.Rate))
	}
	if s.Delay != 0 {
		words = append(words, "delay "+s.Delay.String())
	}
	if s.Jitter != 0 {
		words = append(words, "jitter "+s.Jitter.String())
	}
	if s.Loss != 0 {
		words = append(words, fmt.Sprintf("loss %g%%", s.Loss))
	}
	return strings.Join(words, " ")
}

type plainShaping Shaping

// shapingJSON is a Shaping in JSON: durations are text.
type shapingJSON struct {
	plainShaping
	Delay  wire.Duration `json:"delay,omitzero"`
	Jitter wire.Duration `json:"jitter,omitzero"`
}

// MarshalJSON writes durations as text, such as "20ms".
func (s Shaping) MarshalJSON() ([]byte, error) {
	return json.Marshal(shapingJSON{plainShaping(s), wire.Duration(s.Delay), wire.Duration(s.Jitter)})
}

// UnmarshalJSON reads what MarshalJSON writes; fields that a Shaping does not have are
// errors.
func (s *Shaping) UnmarshalJSON(b []byte) error {
	var w shapingJSON
	if err := wire.Unmarshal(b, &w); err != nil {
		return err
	}
	*s = Shaping(w.plainShaping)
	s.Delay, s.Jitter = time.Duration(w.Delay), time.Duration(w.Jitter)
	return nil
}

// Validate says what is wrong with the shaping.
func (s Shaping) Validate() error {
	switch {
	case s == Shaping{}:
		return errors.New("shaping without rate, delay or loss: leave it out")
	case s.Rate < 0 || s.Rate != 0 && s.Rate < 1000:
		return fmt.Errorf("rate %d is to be at least 1000 bits per second", s.Rate)
	case s.Delay < 0 || s.Delay > time.Hour:
		return fmt.Errorf("delay %v is to be from 0 to an hour", s.Delay)
	case s.Jitter < 0 || s.Jitter > s.Delay:
		return fmt.Errorf("jitter %v is to be from 0 to the delay, %v", s.Jitter, s.Delay)
	case !(s.Loss >= 0 && s.Loss <= 100):
		return fmt.Errorf("loss %g is to be from 0 to 100 of a hundred packets", s.Loss)
	}
	return nil
}

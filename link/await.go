package link

import "fmt"

// A State is how ready an interface is.
type State int

const (
	// Running is an interface that is up and has carrier.
	Running State = iota
	// Addressed is one that is Running, has an address that is not link-local, and
	// whose addresses have all passed duplicate address detection, if they are not
	// duplicates.
	Addressed
)

// String is "running" or "addressed".
func (s State) String() string {
	switch s {
	case Running:
		return "running"
	case Addressed:
		return "addressed"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

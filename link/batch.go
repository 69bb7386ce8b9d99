package link

import "context"

// A BatchPlugger is a Backend that plugs many guests in at less cost together
// than one by one.
type BatchPlugger interface {
	Backend
	// PlugAll does for every Call what Plug of its Backend does, and fills in
	// its Err. The Backends are of the receiver's type, the guests different
	// ones. A Call that fails fails alone: what it needed is taken back by its own
	// Undo, and the others are done.
	PlugAll(ctx context.Context, calls []*Call)
}

// A BatchUnplugger is a Backend that unplugs many guests at less cost together
// than one by one.
type BatchUnplugger interface {
	Backend
	// UnplugAll does for every Call what Unplug of its Backend does, and fills in
	// its Err. The Backends are of the receiver's type.
	UnplugAll(ctx context.Context, calls []*Call)
}

// A Call is one of many calls of Plug or of Unplug.
type Call struct {
	Backend Backend
	Port    *Port
	Undo    *Undo // nil for Unplug
	Err     error // of this call, filled in
}

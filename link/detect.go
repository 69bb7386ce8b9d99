package link

import "context"

// An OVSLookup asks Open vSwitch for a bridge: the backend that plugs into the
// bridge of this name, and whether there is one.
type OVSLookup func(ctx context.Context, name string) (b Backend, exists bool, err error)

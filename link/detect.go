package link

import "context"

// An OVSLookup asks Open vSwitch for a bridge: the backend that plugs into the
// bridge of this name, and whether there is one. An error that satisfies
// fs.ErrNotExist says that there is no Open vSwitch on this machine; any other, that
// there is one, and that it does not answer.
type OVSLookup func(ctx context.Context, name string) (b Backend, exists bool, err error)

package link

import "context"

// A Collector is where a backend keeps what it made on the host, such as an ovs.Client:
// it removes what guests left that are gone. What this package made needs none.
type Collector interface {
	// Collect removes what bears pipework's mark and nobody uses any more, and returns
	// its names. It goes on after a failure. Where the backend's service does not run
	// there is nothing, and no error.
	Collect(ctx context.Context, h Host) ([]string, error)

	// Orphans returns the names of what Collect would remove, and changes nothing.
	Orphans(ctx context.Context, h Host) ([]string, error)
}

// A Reaper is a Backend on which something of a guest that has died gets in the way of
// the guest's next start: Reap removes it, for the guest p.Mark.Guest. It does so as soon
// as the kernel is done with the guest, and says whether nothing is left.
type Reaper interface {
	Reap(ctx context.Context, p *Port) (reaped bool, err error)
}

package keep

import (
	"encoding/json"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/dhcp"
)

// The bounds of what a record has of an Attachment. A guest can give its interface any number of
// addresses, and a server a lease many options: neither is to keep a record from being written.
const (
	addrsMax  = 64
	leaseMax  = 8 << 10  // bytes of JSON of one lease
	storedMax = 64 << 10 // more than all of it takes, saved routes included
)

// stored is the Attachment without what is of one call alone, and bounded.
func stored(at *pipework.Attachment) *pipework.Attachment {
	made := *at
	made.Existed, made.Mended, made.Added, made.Drifts, made.Warnings, made.Saved, made.Namespace = false, nil, nil, nil, nil, nil, nil
	made.Addrs = made.Addrs[:min(len(made.Addrs), addrsMax)]
	made.Lease, made.Lease6 = storedLease(made.Lease), storedLease(made.Lease6)
	return &made
}

// storedLease is the lease; of a large one only what tells it from others.
func storedLease(l *dhcp.Lease) *dhcp.Lease {
	b, err := json.Marshal(l)
	if l == nil || err == nil && len(b) <= leaseMax {
		return l
	}
	return &dhcp.Lease{Addr: l.Addr, Server: l.Server, IAID: l.IAID, Renew: l.Renew, Rebind: l.Rebind, Expires: l.Expires}
}

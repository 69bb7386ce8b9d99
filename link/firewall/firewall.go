// Package firewall lets frames pass within a Linux bridge where Docker's firewall
// would drop them: with br_netfilter loaded, the FORWARD chain is asked about what a
// bridge forwards, too, and Docker sets that chain's policy to DROP.
package firewall

import "context"

// A Bridge is a Linux bridge and the way into its network namespace.
type Bridge struct {
	Name string
	// Do runs f on a thread that is in the namespace, as [ns.Handle.Do] does.
	//
	// [ns.Handle.Do]: https://pkg.go.dev/github.com/go-pipework/pipework/ns#Handle.Do
	Do func(ctx context.Context, f func() error) error
}

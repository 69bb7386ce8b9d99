// Package firewall lets frames pass within a Linux bridge where Docker's firewall
// would drop them. With br_netfilter loaded, a bridge's frames go through the chain
// FORWARD too, and Docker sets its policy to DROP. What helps is a rule in the chain
// that Docker leaves to others, DOCKER-USER; an accept in another table does not, as
// a drop is final.
//
// The package does not evaluate other people's rules. Frames within a bridge pass if
// the policy is not DROP, or if there is a rule that asks for nothing but the bridge,
// and accepts.
//
// All of it needs CAP_NET_ADMIN in the bridge's network namespace; without, the error
// satisfies fs.ErrPermission. Where the kernel has no br_netfilter, or it does not show
// frames to the firewall (net.bridge.bridge-nf-call-iptables and -ip6tables are 0),
// nothing is read or changed.
package firewall

import "context"

// A Do runs f on a thread that is in the bridge's network namespace.
type Do func(ctx context.Context, f func() error) error

// A Bridge is a Linux bridge, and the way into its network namespace.
type Bridge struct {
	Name string
	Do   Do
}

// Advice is what to type so that frames pass: a command for each chain whose policy
// drops them. The zero value says that they pass.
type Advice struct {
	Accept []string // those that [Bridge.Accept] does the same as
	Others []string // those for chains that it leaves alone
}

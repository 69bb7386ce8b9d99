package firewall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// A firewall is the nftables of one network namespace, as far as they concern
// frames within one bridge. The iptables of today's distributions are nftables.
type firewall struct {
	bridge   Bridge
	families []ipFamily
	nft      *nftables.Conn           // nil: the kernel has no nftables
	unhook   func() bool              // nft from the context
	chains   []*nftables.Chain        // those that matter; see list
	accepts  map[*nftables.Chain]bool // whether the rule is there; of the chains read since list
	legacy   []*legacyRules           // of families without Docker's chain
}

// newFirewall connects to the firewall. It returns nil where choose, which
// runs inside the namespace, finds no family that matters.
func newFirewall(ctx context.Context, b Bridge, choose func(context.Context) ([]ipFamily, error)) (*firewall, error) {
	f := &firewall{bridge: b}
	err := b.Do(ctx, func() (err error) {
		if f.families, err = choose(ctx); err != nil || len(f.families) == 0 {
			return err
		}
		if err := f.dial(ctx); err != nil {
			return err
		}
		return f.findLegacy(ctx)
	})
	if err != nil || len(f.families) == 0 {
		f.close()
		return nil, err
	}
	return f, nil
}

// dial opens a netlink socket in the calling thread's network namespace and
// lists the chains; the first answer tells whether the kernel has nftables.
func (f *firewall) dial(ctx context.Context) error {
	err := f.open(ctx)
	if err == nil {
		err = f.list(ctx)
	}
	if err == nil {
		return nil
	}
	f.close()
	if lacks(err) {
		return nil
	}
	return err
}

// open opens a netlink socket in the calling thread's network namespace.
func (f *firewall) open(ctx context.Context) error {
	var socket *netlink.Conn
	keep := func(c *netlink.Conn) error { socket = c; return nil }
	err := f.ask(ctx, "open nftables", func() (err error) {
		f.nft, err = nftables.New(nftables.AsLasting(), nftables.WithSockOptions(keep))
		return err
	})
	if err == nil {
		f.unhook = context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })
	}
	return err
}

// lacks says whether an error means that the kernel has no nfnetlink, or not the part of
// nf_tables behind it that was asked for.
func lacks(err error) bool {
	return slices.ContainsFunc([]unix.Errno{unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.EOPNOTSUPP, unix.EINVAL, unix.ENOENT},
		func(no unix.Errno) bool { return errors.Is(err, no) })
}

// close ends the connection.
func (f *firewall) close() {
	if f.unhook != nil {
		f.unhook()
	}
	if f.nft != nil {
		_ = f.nft.CloseLasting()
	}
	f.nft = nil
}

// ask makes one call, and says in one line what went wrong: the context's end,
// or else the kernel's first word.
func (f *firewall) ask(ctx context.Context, step string, call func() error) error {
	if err := fault.Step(ctx, step); err != nil {
		return err
	}
	err := call()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, fs.ErrPermission) {
		return errs.New(fs.ErrPermission, "%s: needs CAP_NET_ADMIN in the host's network namespace", step)
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return fmt.Errorf("%s: %w", step, err)
}

// list finds the chains that matter: Docker's, and the base chains at the hook
// forward. The kernel can only list all chains.
func (f *firewall) list(ctx context.Context) error {
	f.accepts = map[*nftables.Chain]bool{}
	return f.ask(ctx, "list chains", func() error {
		all, err := f.nft.ListChains()
		f.chains = slices.DeleteFunc(all, func(c *nftables.Chain) bool { return !isDocker(c) && !isForward(c) })
		return err
	})
}

func isDocker(c *nftables.Chain) bool { return c.Table.Name == "filter" && c.Name == dockerChain }

func isForward(c *nftables.Chain) bool {
	return c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward
}

// docker returns Docker's chain of this family, or nil.
func (f *firewall) docker(fam ipFamily) *nftables.Chain {
	for _, c := range f.chains {
		if isDocker(c) && c.Table.Family == fam.nft {
			return c
		}
	}
	return nil
}

// rules lists one chain. The rules of a chain that is gone are none.
func (f *firewall) rules(ctx context.Context, c *nftables.Chain) (rules []*nftables.Rule, err error) {
	err = f.ask(ctx, "list rules of "+c.Name, func() error {
		rules, err = f.nft.GetRules(c.Table, c)
		return err
	})
	return rules, err
}

// tries bounds how often a change is repeated because the rules were replaced
// since they were read.
const tries = 5

// add adds the rule to Docker's chain of this family unless one is there. added is
// true also when it cannot know: the error came afterwards. It sends one rule at a
// time, because before Linux 5.10 the library takes the second rule's echo for the
// first one's acknowledgement.
func (f *firewall) add(ctx context.Context, fam ipFamily) (added bool, err error) {
	for try := 1; ; try++ {
		c := f.docker(fam)
		if c == nil {
			return false, nil
		}
		if there, err := f.accepted(ctx, c); there || err != nil {
			return false, err
		}
		f.nft.InsertRule(f.rule(c))
		err := f.ask(ctx, "add firewall rule", f.nft.Flush)
		f.accepts[c] = err == nil
		if try == tries || !errors.Is(err, unix.ENOENT) {
			return true, err
		}
		if err := f.list(ctx); err != nil {
			return false, err
		}
	}
}

// single removes all but the first of the rules that several processes added at
// the same time, and says whether there was only one. The first was the last to
// be added, and whoever added it removes the others, if nobody did.
func (f *firewall) single(ctx context.Context, fam ipFamily) (bool, error) {
	own, err := f.own(ctx, fam)
	if err != nil || len(own) < 2 {
		return true, err
	}
	for _, r := range own[1:] {
		if err := f.delete(ctx, r); err != nil && !errors.Is(err, unix.ENOENT) {
			return false, err
		}
	}
	return false, nil
}

// remove deletes the rules that bear the comment, of all families at once.
func (f *firewall) remove(ctx context.Context) error {
	for try := 1; ; try++ {
		var all []*nftables.Rule
		for _, fam := range f.families {
			own, err := f.own(ctx, fam)
			if err != nil {
				return err
			}
			all = append(all, own...)
		}
		err := f.delete(ctx, all...)
		if try == tries || !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
}

// delete removes all of the rules, or none.
func (f *firewall) delete(ctx context.Context, rules ...*nftables.Rule) error {
	if len(rules) == 0 {
		return nil
	}
	for _, r := range rules {
		if err := f.nft.DelRule(r); err != nil {
			return err
		}
	}
	return f.ask(ctx, "remove firewall rules", f.nft.Flush)
}

// own lists the rules in Docker's chain of this family that Accept made for the bridge.
func (f *firewall) own(ctx context.Context, fam ipFamily) ([]*nftables.Rule, error) {
	c := f.docker(fam)
	if c == nil {
		return nil, nil
	}
	rules, err := f.rules(ctx, c)
	return slices.DeleteFunc(rules, func(r *nftables.Rule) bool { return madeFor(r) != f.bridge.Name }), err
}

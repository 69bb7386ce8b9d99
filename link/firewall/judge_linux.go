package firewall

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
)

// A mend is a command to type that lets frames pass.
type mend struct {
	command string
	ours    bool // openForward does the same
}

// warning is one line with every mend that is needed, and empty where frames
// pass. orElse is added where openForward could do it all.
func (f *firewall) warning(ctx context.Context, orElse string) (string, error) {
	var commands []string
	for _, fam := range f.families {
		mends, err := f.mends(ctx, fam)
		if err != nil {
			return "", err
		}
		for _, m := range mends {
			if !slices.Contains(commands, m.command) { // a table of both families is found twice
				commands = append(commands, m.command)
			}
			if !m.ours {
				orElse = ""
			}
		}
	}
	if len(commands) == 0 {
		return "", nil
	}
	return fmt.Sprintf("the firewall drops frames within %s: %s%s", f.bridge.Name, strings.Join(commands, "; "), orElse), nil
}

// mends returns what to type for every chain that drops this family's frames.
func (f *firewall) mends(ctx context.Context, fam ipFamily) (mends []mend, err error) {
	docker := f.docker(fam)
	if docker != nil {
		if _, err := f.judge(ctx, docker); err != nil {
			return nil, err
		}
	}
	for _, c := range f.chains {
		if !isForward(c) || c.Table.Family != fam.nft && c.Table.Family != nftables.TableFamilyINet {
			continue
		}
		o, err := f.judge(ctx, c)
		if err != nil {
			return nil, err
		}
		if o == dropped || o == undecided && c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			mends = append(mends, f.mend(fam, c))
		}
	}
	return append(mends, f.legacyMends(fam)...), nil
}

// mend is the command that opens the base chain c: through Docker's chain, if
// frames do not pass there already.
func (f *firewall) mend(fam ipFamily, c *nftables.Chain) mend {
	if c.Table.Family != fam.nft || c.Table.Name != "filter" || c.Name != "FORWARD" { // not made by iptables
		family := map[nftables.TableFamily]string{nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet"}
		return mend{command: fmt.Sprintf("nft insert rule %s %s %s iifname %s oifname %[4]s accept", family[c.Table.Family], c.Table.Name, c.Name, f.bridge.Name)}
	}
	if docker := f.docker(fam); docker != nil && f.outcomes[idOf(docker)] != accepted {
		return mend{command: insertCommand(fam.tool, dockerChain, f.bridge.Name), ours: true}
	}
	return mend{command: insertCommand(fam.tool, c.Name, f.bridge.Name)}
}

func insertCommand(tool, chain, bridge string) string {
	return fmt.Sprintf("%s -I %s -i %s -o %[3]s -j ACCEPT", tool, chain, bridge)
}

// An outcome is what a chain does with every frame within the bridge.
type outcome int

const (
	undecided outcome = iota // it gives it back, or hands it to its policy
	accepted
	dropped
)

// A chainID names a chain of the ruleset.
type chainID struct {
	family      nftables.TableFamily
	table, name string
}

func idOf(c *nftables.Chain) chainID { return chainID{c.Table.Family, c.Table.Name, c.Name} }

// judge follows a new connection's frame through the chain and all that it
// jumps to; the kernel lets no chain jump in a circle. A rule that asks for
// more than the interfaces is taken not to match.
func (f *firewall) judge(ctx context.Context, c *nftables.Chain) (outcome, error) {
	if o, known := f.outcomes[idOf(c)]; known {
		return o, nil
	}
	rules, err := f.rules(ctx, c)
	if err != nil {
		return undecided, err
	}
	o, err := f.follow(ctx, c.Table, rules)
	if err == nil {
		f.outcomes[idOf(c)] = o
	}
	return o, err
}

func (f *firewall) follow(ctx context.Context, t *nftables.Table, rules []*nftables.Rule) (outcome, error) {
	for _, r := range rules {
		v := f.verdict(r)
		switch v.Kind {
		case expr.VerdictAccept:
			return accepted, nil
		case expr.VerdictDrop:
			return dropped, nil
		case expr.VerdictReturn:
			return undecided, nil
		case expr.VerdictJump, expr.VerdictGoto:
			o, err := f.judge(ctx, &nftables.Chain{Name: v.Chain, Table: t})
			if o != undecided || err != nil || v.Kind == expr.VerdictGoto {
				return o, err
			}
		}
	}
	return undecided, nil
}

// verdict is what the rule does with a frame within the bridge; VerdictContinue
// where it lets it go on, or may.
func (f *firewall) verdict(r *nftables.Rule) expr.Verdict {
	onward := expr.Verdict{Kind: expr.VerdictContinue}
	var loaded expr.MetaKey
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Counter, *expr.Log:
		case *expr.Meta:
			loaded = e.Key
		case *expr.Cmp:
			if !f.matches(loaded, e) {
				return onward
			}
		case *expr.Match:
			if !always(e) {
				return onward
			}
		case *expr.Verdict:
			return *e
		case *expr.Reject:
			return expr.Verdict{Kind: expr.VerdictDrop}
		default:
			return onward
		}
	}
	return onward
}

// matches says whether the comparison is one of an interface's name, and true:
// both are the bridge's. A name without its NUL is a prefix.
func (f *firewall) matches(loaded expr.MetaKey, e *expr.Cmp) bool {
	if loaded != expr.MetaKeyIIFNAME && loaded != expr.MetaKeyOIFNAME {
		return false
	}
	same := bytes.HasPrefix(append([]byte(f.bridge.Name), make([]byte, 16)...), e.Data)
	return e.Op == expr.CmpOpEq && same || e.Op == expr.CmpOpNeq && !same
}

// always says whether the match of iptables is true of every bridged frame: a
// comment, or `-m physdev --physdev-is-bridged` alone, which many guides advise.
func always(m *expr.Match) bool {
	const invert, asks, isBridged = 64, 65, 0x04 // struct xt_physdev_info, XT_PHYSDEV_OP_BRIDGED
	if m.Name == "comment" {
		return true
	}
	info, ok := m.Info.(*xt.Unknown)
	return ok && m.Name == "physdev" && len(*info) > asks && (*info)[invert] == 0 && (*info)[asks] == isBridged
}

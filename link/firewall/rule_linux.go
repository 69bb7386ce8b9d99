package firewall

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/google/nftables/xt"
)

// commentWord begins the comments of our rules; the bridge's name follows.
const commentWord = "pipework "

// comment is the rule's comment: as nft keeps it, which iptables shows as its own, or
// as a match, where iptables-restore put the rule back in its way.
func comment(r *nftables.Rule) string {
	if text, ok := userdata.GetString(r.UserData, userdata.TypeComment); ok {
		return text
	}
	for _, e := range r.Exprs {
		if m, ok := e.(*expr.Match); ok {
			if text, ok := m.Info.(*xt.Comment); ok {
				return string(*text)
			}
		}
	}
	return ""
}

// madeFor is the name of the bridge that Accept made the rule for; "" where somebody
// else made the rule.
func madeFor(r *nftables.Rule) string {
	name, ours := strings.CutPrefix(comment(r), commentWord)
	asks := func(e expr.Any) bool {
		c, ok := e.(*expr.Cmp)
		return ok && string(c.Data) == name+"\x00"
	}
	if !ours || !slices.ContainsFunc(r.Exprs, asks) {
		return ""
	}
	return name
}

// rule is what `iptables -I DOCKER-USER -i BRIDGE -o BRIDGE -j ACCEPT` makes,
// so that iptables can list, check and delete it.
func (f *firewall) rule(c *nftables.Chain) *nftables.Rule {
	name := append([]byte(f.bridge.Name), 0)
	return &nftables.Rule{Table: c.Table, Chain: c, UserData: userdata.AppendString(nil, userdata.TypeComment, commentWord+f.bridge.Name), Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictAccept},
	}}
}

// isAccept says whether the rule accepts every frame within the bridge, because it
// asks for nothing but the names of interfaces: ours does, and what somebody typed. A
// name without its NUL is a prefix.
func (f *firewall) isAccept(r *nftables.Rule) bool {
	name := append([]byte(f.bridge.Name), make([]byte, 16)...)
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Counter:
		case *expr.Meta:
			if e.Key != expr.MetaKeyIIFNAME && e.Key != expr.MetaKeyOIFNAME {
				return false
			}
		case *expr.Cmp:
			if e.Op != expr.CmpOpEq || !bytes.HasPrefix(name, e.Data) {
				return false
			}
		case *expr.Match:
			if e.Name != "comment" {
				return false
			}
		case *expr.Verdict:
			return e.Kind == expr.VerdictAccept
		default:
			return false
		}
	}
	return false
}

// accepted says whether such a rule is in the chain.
func (f *firewall) accepted(ctx context.Context, c *nftables.Chain) (bool, error) {
	if there, known := f.accepts[c]; known {
		return there, nil
	}
	rules, err := f.rules(ctx, c)
	if err != nil {
		return false, err
	}
	f.accepts[c] = slices.ContainsFunc(rules, f.isAccept)
	return f.accepts[c], nil
}

// advice has a command for every chain whose policy drops the frames.
func (f *firewall) advice(ctx context.Context) (a Advice, err error) {
	for _, fam := range f.families {
		for _, c := range f.chains {
			if !drops(c) || c.Table.Family != fam.nft && c.Table.Family != nftables.TableFamilyINet {
				continue
			}
			if err := f.advise(ctx, &a, fam, c); err != nil {
				return Advice{}, err
			}
		}
		if command := f.legacyCommand(fam); command != "" {
			a.Others = append(a.Others, command)
		}
	}
	slices.Sort(a.Others)
	a.Others = slices.Compact(a.Others) // a table of both families is found twice
	return a, nil
}

// drops says whether c is a base chain at the hook forward whose policy is DROP.
func drops(c *nftables.Chain) bool {
	return isForward(c) && c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop
}

// advise adds the command that lets frames pass the base chain c, unless a rule does:
// in the chain, or in Docker's, where c is the one that jumps there.
func (f *firewall) advise(ctx context.Context, a *Advice, fam ipFamily, c *nftables.Chain) error {
	var docker *nftables.Chain
	iptables := c.Table.Family == fam.nft && c.Table.Name == "filter" && c.Name == "FORWARD"
	if iptables {
		docker = f.docker(fam)
	}
	for _, in := range []*nftables.Chain{docker, c} {
		if in == nil {
			continue
		}
		if there, err := f.accepted(ctx, in); there || err != nil {
			return err
		}
	}
	switch {
	case docker != nil:
		a.Accept = append(a.Accept, insertCommand(fam.tool, dockerChain, f.bridge.Name))
	case iptables:
		a.Others = append(a.Others, insertCommand(fam.tool, c.Name, f.bridge.Name))
	default:
		a.Others = append(a.Others, f.nftCommand(c))
	}
	return nil
}

func insertCommand(tool, chain, bridge string) string {
	return fmt.Sprintf("%s -I %s -i %s -o %[3]s -j ACCEPT", tool, chain, bridge)
}

func (f *firewall) nftCommand(c *nftables.Chain) string {
	family := map[nftables.TableFamily]string{nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet"}
	return fmt.Sprintf("nft insert rule %s %s %s iifname %s oifname %[4]s accept", family[c.Table.Family], c.Table.Name, c.Name, f.bridge.Name)
}

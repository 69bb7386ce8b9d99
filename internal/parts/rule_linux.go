package parts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link"
)

// Policy rules do not go with an interface, and have no room for whose they are.
// So they bear pipework's number as their protocol, and the interface's mark tells
// their priorities, which no other interface of pipework's in the guest may have.
// The mark is written before they are made.

// kernelRules are a rule of the Spec's in each of its families.
func kernelRules(r link.Rule) (rules []rtnl.Rule) {
	k := rtnl.Rule{
		Priority: r.Priority, From: r.From, To: r.To, IIf: r.IIf, OIf: r.OIf, Mark: r.Mark, Mask: r.Mask,
		Table: r.Table, Protocol: rtnl.Protocol,
	}
	if k.Table == 0 {
		k.Table = unix.RT_TABLE_MAIN
	}
	if k.Mark != 0 && k.Mask == 0 {
		k.Mask = 1<<32 - 1
	}
	for _, family := range families {
		if ofFamily(r, family) {
			k.Family = family
			rules = append(rules, k)
		}
	}
	return rules
}

func ofFamily(r link.Rule, family int) bool {
	switch {
	case r.From.IsValid():
		return rtnl.Family(r.From.Addr()) == family
	case r.To.IsValid():
		return rtnl.Family(r.To.Addr()) == family
	}
	return true
}

// Rules are the policy rules that belong to the interface.
type Rules []link.Rule

var _ Part = Rules{}

// Apply makes them; see [Part].
func (p Rules) Apply(ctx context.Context, s *Site) error {
	if len(p) == 0 {
		return nil
	}
	if err := p.refuseClaimed(ctx, s); err != nil {
		return err
	}
	for _, r := range p {
		for _, k := range kernelRules(r) {
			s.Log(ctx, "route", "rule", r)
			if err := s.addRule(ctx, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// addRule makes a rule. One that an interface left that is gone is there already.
func (s *Site) addRule(ctx context.Context, k rtnl.Rule) error {
	err := k.Add(ctx, s.Port.Conn)
	if k.Family == unix.AF_INET6 && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)) && !k.From.IsValid() && !k.To.IsValid() {
		return nil // a kernel without IPv6 routes none
	}
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if err != nil {
		return err
	}
	s.Undo.Push("rule", func(ctx context.Context) error { return k.Delete(ctx, s.Port.Conn) })
	return nil
}

// refuseClaimed refuses priorities that rules of another interface have.
func (p Rules) refuseClaimed(ctx context.Context, s *Site) error {
	links, err := rtnl.Links(ctx, s.Port.Conn)
	if err != nil {
		return err
	}
	for _, l := range links {
		m, ours := s.claims(l)
		if !ours || l.Index == s.Link.Index {
			continue
		}
		for _, r := range p {
			if m.OwnsRule(r.Priority) {
				return errs.New(fs.ErrExist, "rule %d belongs to %s: choose another priority", r.Priority, l.Name)
			}
		}
	}
	return nil
}

// claims is the mark of an interface of the guest's; not of an end on the host,
// where the host is the guest.
func (s *Site) claims(l *rtnl.Link) (link.Mark, bool) {
	m, ours := link.ParseMark(l.Alias)
	hostEnd := l.Foreign && l.Kind == "veth" && s.onHost()
	return m, ours && !hostEnd
}

// Asks is the rules; see [Part].
func (p Rules) Asks(context.Context, *Site) (lines []string, _ error) {
	for _, r := range p {
		lines = append(lines, "rule "+r.String())
	}
	return lines, nil
}

// Remove removes the rules that the interface's mark tells of; where it is gone, those of
// interfaces that are gone.
func (Rules) Remove(ctx context.Context, s *Site) error {
	own, err := s.ownRules(ctx)
	if err != nil {
		return err
	}
	for _, k := range own {
		if err := s.dropRule(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

func (s *Site) dropRule(ctx context.Context, k rtnl.Rule) error {
	s.Undo.Push("rule", func(ctx context.Context) error {
		if err := k.Add(ctx, s.Port.Conn); !errors.Is(err, unix.EEXIST) {
			return err
		}
		return nil
	})
	return k.Delete(ctx, s.Port.Conn)
}

// ownRules are the rules that the interface's mark tells of; where it is gone, those that
// no interface claims.
func (s *Site) ownRules(ctx context.Context) (own []rtnl.Rule, err error) {
	if s.Link != nil && s.Port.Mark.Rules == "" {
		return nil, nil
	}
	var others []link.Mark
	if s.Link == nil {
		links, err := rtnl.Links(ctx, s.Port.Conn)
		if err != nil {
			return nil, err
		}
		for _, o := range links {
			if m, ours := s.claims(o); ours {
				others = append(others, m)
			}
		}
	}
	for _, family := range families {
		rules, err := rtnl.Rules(ctx, s.Port.Conn, family)
		if err != nil {
			return nil, err
		}
		for _, k := range rules {
			claims := func(m link.Mark) bool { return m.OwnsRule(k.Priority) }
			if s.Link == nil && !slices.ContainsFunc(others, claims) || s.Link != nil && claims(s.Port.Mark) {
				own = append(own, k)
			}
		}
	}
	return own, nil
}

// Compare tells of rules that are gone. Those to be made instead of others are made once
// the others are removed, and the mark says so: it has no room for both. See [Part].
func (p Rules) Compare(ctx context.Context, s *Site) (d Diff, err error) {
	if len(p) == 0 && !s.Exact {
		return d, nil
	}
	var asked, have []rtnl.Rule
	for _, family := range families {
		list, err := rtnl.Rules(ctx, s.Port.Conn, family)
		if err != nil {
			return d, err
		}
		have = append(have, list...)
	}
	if s.Exact && link.FormatRules(p) != s.Port.Mark.Rules {
		d.Missing = append(d.Missing, p.claim(s))
	}
	for _, r := range p {
		for _, k := range kernelRules(r) {
			if asked = append(asked, k); !slices.Contains(have, k) {
				d.Missing = append(d.Missing, link.Drift{What: "rule " + r.String() + " is gone", Mend: func(ctx context.Context, _ *link.Undo) error {
					return s.addRule(ctx, k)
				}})
			}
		}
	}
	for _, k := range have {
		if s.Exact && s.Port.Mark.OwnsRule(k.Priority) && !slices.Contains(asked, k) {
			d.Surplus = append(d.Surplus, link.Drift{What: fmt.Sprintf("it has the rule %d", k.Priority), Mend: func(ctx context.Context, _ *link.Undo) error {
				return s.dropRule(ctx, k)
			}})
		}
	}
	return d, nil
}

// claim removes the rules whose priorities are not asked for any more, and has the mark
// tell the others.
func (p Rules) claim(s *Site) link.Drift {
	return link.Drift{Chosen: true, What: "its rules are others", Mend: func(ctx context.Context, _ *link.Undo) error {
		if err := p.refuseClaimed(ctx, s); err != nil {
			return err
		}
		own, err := s.ownRules(ctx)
		if err != nil {
			return err
		}
		for _, k := range own {
			if slices.ContainsFunc(p, func(r link.Rule) bool { return r.Priority == k.Priority }) {
				continue
			}
			if err := s.dropRule(ctx, k); err != nil {
				return err
			}
		}
		mark := s.Port.Mark
		mark.Rules = link.FormatRules(p)
		return s.Remark(ctx, mark)
	}}
}

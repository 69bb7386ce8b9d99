package pipework

import (
	"context"
	"errors"
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
		Table: r.Table, Protocol: rtnl.RuleProtocol,
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

// addRules makes the Spec's rules.
func (j *job) addRules(ctx context.Context, l *rtnl.Link) error {
	if len(j.spec.Rules) == 0 {
		return nil
	}
	if err := j.refuseClaimed(ctx, l); err != nil {
		return err
	}
	for _, r := range j.spec.Rules {
		for _, k := range kernelRules(r) {
			j.log(ctx, "route", "rule", r)
			if err := j.addRule(ctx, k, &j.undo); err != nil {
				return err
			}
		}
	}
	return nil
}

// addRule makes a rule. One that an interface left that is gone is there already.
func (j *job) addRule(ctx context.Context, k rtnl.Rule, u *link.Undo) error {
	err := k.Add(ctx, j.port.Conn)
	if k.Family == unix.AF_INET6 && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)) && !k.From.IsValid() && !k.To.IsValid() {
		return nil // a kernel without IPv6 routes none
	}
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if err != nil {
		return err
	}
	u.Push("rule", func(ctx context.Context) error { return k.Delete(ctx, j.port.Conn) })
	return nil
}

// refuseClaimed refuses priorities that rules of another interface have.
func (j *job) refuseClaimed(ctx context.Context, own *rtnl.Link) error {
	links, err := rtnl.Links(ctx, j.port.Conn)
	if err != nil {
		return err
	}
	for _, l := range links {
		m, ours := j.claims(l)
		if !ours || l.Index == own.Index {
			continue
		}
		for _, r := range j.spec.Rules {
			if m.OwnsRule(r.Priority) {
				return errs.New(fs.ErrExist, "rule %d belongs to %s: choose another priority", r.Priority, l.Name)
			}
		}
	}
	return nil
}

// claims is the mark of an interface of the guest's; not of an end on the host,
// where the host is the guest.
func (j *job) claims(l *rtnl.Link) (link.Mark, bool) {
	m, ours := link.ParseMark(l.Alias)
	hostEnd := l.Foreign && l.Kind == "veth" && j.guest.Inode() == j.host.Inode()
	return m, ours && !hostEnd
}

// dropRules removes the rules that the interface's mark tells of; where it is nil,
// those of interfaces that are gone.
func (j *job) dropRules(ctx context.Context, l *rtnl.Link) error {
	if l != nil && j.port.Mark.Rules == "" {
		return nil
	}
	var others []link.Mark
	if l == nil {
		links, err := rtnl.Links(ctx, j.port.Conn)
		if err != nil {
			return err
		}
		for _, o := range links {
			if m, ours := j.claims(o); ours {
				others = append(others, m)
			}
		}
	}
	for _, family := range families {
		rules, err := rtnl.Rules(ctx, j.port.Conn, family)
		if err != nil {
			return err
		}
		for _, k := range rules {
			claims := func(m link.Mark) bool { return m.OwnsRule(k.Priority) }
			if l != nil && !claims(j.port.Mark) || slices.ContainsFunc(others, claims) {
				continue
			}
			if err := k.Delete(ctx, j.port.Conn); err != nil {
				return err
			}
			j.undo.Push("rule", func(ctx context.Context) error { return k.Add(ctx, j.port.Conn) })
		}
	}
	return nil
}

// ruleDrifts tells of rules of the Spec's that are gone.
func (j *job) ruleDrifts(ctx context.Context, _ *rtnl.Link) (drifts []link.Drift, err error) {
	if len(j.spec.Rules) == 0 {
		return nil, nil
	}
	var have []rtnl.Rule
	for _, family := range families {
		list, err := rtnl.Rules(ctx, j.port.Conn, family)
		if err != nil {
			return nil, err
		}
		have = append(have, list...)
	}
	for _, r := range j.spec.Rules {
		for _, k := range kernelRules(r) {
			if slices.Contains(have, k) {
				continue
			}
			drifts = append(drifts, link.Drift{What: "rule " + r.String() + " is gone", Mend: func(ctx context.Context, u *link.Undo) error {
				return j.addRule(ctx, k, u)
			}})
		}
	}
	return drifts, nil
}

package link

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// A Rule tells the guest's kernel which routing table to look into for which
// packets; see ip-rule(8). Rules belong to an interface: they go with it on Detach.
type Rule struct {
	// Priority is the rule's place, 1 to 32765: the least is asked first. No two
	// rules of pipework's in one guest have the same.
	Priority uint32 `json:"priority"`
	// From and To are the packets' source and destination; the zero value stands for
	// any. A rule without either is made for IPv4 and IPv6.
	From netip.Prefix `json:"from,omitzero"`
	To   netip.Prefix `json:"to,omitzero"`
	// IIf and OIf name interfaces of the guest's that packets come in by ("lo" for
	// its own), or that their socket is bound to; "" stands for any.
	IIf string `json:"iif,omitempty"`
	OIf string `json:"oif,omitempty"`
	// Mark is the packets' firewall mark, in the bits of Mask; Mask 0 stands for all
	// of them where Mark is not 0, and for none where it is.
	Mark uint32 `json:"mark,omitempty"`
	Mask uint32 `json:"mask,omitempty"`
	// Table is the number of the table; 0 stands for the main one, 254.
	Table uint32 `json:"table,omitempty"`
}

// String is the rule as ip-rule(8) lists it.
func (r Rule) String() string {
	s := fmt.Sprintf("%d: from %s", r.Priority, all(r.From))
	if r.To.IsValid() {
		s += " to " + r.To.String()
	}
	if r.Mark != 0 {
		s += fmt.Sprintf(" fwmark %#x", r.Mark)
	}
	for _, kv := range [...][2]string{{" iif ", r.IIf}, {" oif ", r.OIf}} {
		if kv[1] != "" {
			s += kv[0] + kv[1]
		}
	}
	if r.Table == 0 {
		return s + " lookup main"
	}
	return s + fmt.Sprintf(" lookup %d", r.Table)
}

func all(p netip.Prefix) string {
	if !p.IsValid() {
		return "all"
	}
	return p.String()
}

// Validate says what is wrong with the rule by itself.
func (r Rule) Validate() error {
	switch {
	case r.Priority == 0 || r.Priority > 32765:
		return fmt.Errorf("rule %s: its priority is to be 1 to 32765, before that of the main table", r)
	case r.From.IsValid() && r.To.IsValid() && r.From.Addr().Is4() != r.To.Addr().Is4():
		return fmt.Errorf("rule %s: source and destination are of two families", r)
	case r.Table >= 1<<31:
		return fmt.Errorf("rule %s: tables from 2147483648 on are where displaced routes are kept", r)
	case r.Mark&^r.Mask != 0 && r.Mask != 0:
		return fmt.Errorf("rule %s: its mark has bits that its mask %#x leaves out", r, r.Mask)
	}
	for _, p := range []netip.Prefix{r.From, r.To} {
		if p.IsValid() && (p != p.Masked() || p.Addr().Is4In6()) {
			return fmt.Errorf("rule %s: %s has host bits: write %s", r, p, p.Masked())
		}
	}
	for _, name := range []string{r.IIf, r.OIf} {
		if name == "" {
			continue
		}
		if err := ValidName(name); err != nil {
			return fmt.Errorf("rule %s: %w", r, err)
		}
	}
	return nil
}

// FormatRules is what [Mark.Rules] holds of rules: their priorities.
func FormatRules(rules []Rule) string {
	texts := make([]string, len(rules))
	for i, r := range rules {
		texts[i] = strconv.FormatUint(uint64(r.Priority), 10)
	}
	return strings.Join(texts, "+")
}

// OwnsRule says whether the marked interface made the rule with this priority.
func (m Mark) OwnsRule(priority uint32) bool {
	for text := range strings.SplitSeq(m.Rules, "+") {
		if n, err := strconv.ParseUint(text, 10, 32); err == nil && uint32(n) == priority {
			return true
		}
	}
	return false
}

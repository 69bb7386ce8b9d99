package rtnl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// Protocol is who made a route (rtm_protocol) or a rule (FRA_PROTOCOL, Linux 4.17):
// pipework. The number is nobody's in iproute2's rt_protos; it is a p in ASCII.
const Protocol = 'p'

// A Rule is a routing policy rule that looks into a table, as far as pipework
// makes them: linux/fib_rules.h. Rules with the same fields are the same.
type Rule struct {
	Family     int
	Priority   uint32
	From, To   netip.Prefix // zero: any
	IIf, OIf   string
	Mark, Mask uint32
	Table      uint32
	Protocol   uint8
}

// Sizes and attributes of linux/fib_rules.h.
const (
	sizeofFibRuleHdr = 12
	frActToTable     = 1 // FR_ACT_TO_TBL
	fraDst           = 1
	fraSrc           = 2
	fraIIfName       = 3
	fraPriority      = 6
	fraFwMark        = 10
	fraTable         = 15
	fraFwMask        = 16
	fraOIfName       = 17
	fraProtocol      = 21
)

// Rules lists the rules of one family that pipework made.
func Rules(ctx context.Context, c *ns.Conn, family int) ([]Rule, error) {
	return rules(ctx, c, family, func(r Rule) bool { return r.Protocol == Protocol })
}

// RulesOf lists the rules of one family for what comes in, or goes out, by the interface of this
// name, whoever made them.
func RulesOf(ctx context.Context, c *ns.Conn, family int, name string) ([]Rule, error) {
	return rules(ctx, c, family, func(r Rule) bool { return r.IIf == name || r.OIf == name })
}

func rules(ctx context.Context, c *ns.Conn, family int, want func(Rule) bool) ([]Rule, error) {
	m := make(message, sizeofFibRuleHdr)
	m[0] = uint8(family)
	msgs, err := c.DoWhere(ctx, m.request(unix.RTM_GETRULE, unix.NLM_F_DUMP), unix.RTM_NEWRULE, func(m []byte) bool {
		r, ok := parseRule(m)
		return ok && r.Family == family && want(r)
	})
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	var found []Rule
	for _, m := range msgs {
		r, _ := parseRule(m)
		found = append(found, r)
	}
	return found, nil
}

func parseRule(m []byte) (Rule, bool) {
	if len(m) < sizeofFibRuleHdr {
		return Rule{}, false
	}
	r := Rule{Family: int(m[0]), Table: uint32(m[4])}
	for attr, value := range attrs(m[sizeofFibRuleHdr:]) {
		switch attr {
		case fraDst:
			r.To = prefix(value, m[1])
		case fraSrc:
			r.From = prefix(value, m[2])
		case fraIIfName:
			r.IIf = unix.ByteSliceToString(value)
		case fraOIfName:
			r.OIf = unix.ByteSliceToString(value)
		case fraPriority:
			r.Priority = u32(value)
		case fraFwMark:
			r.Mark = u32(value)
		case fraFwMask:
			r.Mask = u32(value)
		case fraTable:
			r.Table = u32(value)
		case fraProtocol:
			r.Protocol = value[0]
		}
	}
	return r, true
}

func prefix(addr []byte, bits uint8) netip.Prefix {
	a, _ := netip.AddrFromSlice(addr)
	return netip.PrefixFrom(a, int(bits))
}

// Add makes the rule. EEXIST says that it is there; the same one by another
// protocol is another.
func (r Rule) Add(ctx context.Context, c *ns.Conn) error {
	return r.send(ctx, c, unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
}

// Delete removes the rule; nil when it is not there.
func (r Rule) Delete(ctx context.Context, c *ns.Conn) error {
	err := r.send(ctx, c, unix.RTM_DELRULE, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

func (r Rule) send(ctx context.Context, c *ns.Conn, msgType, flags int) error {
	m := make(message, sizeofFibRuleHdr, 128)
	m[0], m[7] = uint8(r.Family), frActToTable
	if r.To.IsValid() {
		m[1] = uint8(r.To.Bits())
		m.attr(fraDst, r.To.Addr().AsSlice()...)
	}
	if r.From.IsValid() {
		m[2] = uint8(r.From.Bits())
		m.attr(fraSrc, r.From.Addr().AsSlice()...)
	}
	if r.IIf != "" {
		m.attrString(fraIIfName, r.IIf)
	}
	if r.OIf != "" {
		m.attrString(fraOIfName, r.OIf)
	}
	if r.Mark != 0 || r.Mask != 0 {
		m.attrU32(fraFwMark, r.Mark)
		m.attrU32(fraFwMask, r.Mask)
	}
	m.attrU32(fraPriority, r.Priority)
	m.attrU32(fraTable, r.Table)
	m.attr(fraProtocol, r.Protocol)
	if _, err := c.Do(ctx, m.request(msgType, flags|unix.NLM_F_ACK), 0); err != nil {
		return fmt.Errorf("rule %d: %w", r.Priority, err)
	}
	return nil
}

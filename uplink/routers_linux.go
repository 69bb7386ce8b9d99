package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// This file keeps guests from being the host's routers: the bridge follows router advertisements
// and redirects where the NIC did, and takes them from the NIC alone, whoever makes its other
// ports. Where a frame came in the bridge does not tell to the host (but for nftables' ibrname,
// which some kernels lack). So what routers say is marked at the NIC, and what comes in by the bridge
// without the mark is dropped. A guest cannot set it: a frame that leaves its namespace has none.

// routerMark is the mark (SO_MARK): "pwrt" in ASCII.
const routerMark = 0x70777274

// What is done before others' rules: those of raw tables have -300.
var (
	markPriority = nftables.ChainPriorityRef(-500)
	dropPriority = nftables.ChainPriorityRef(-450)
)

// tables are the two for the bridge.
func (p Plan) tables() (atNIC, atBridge *nftables.Table) {
	name := "pipework-uplink-" + p.Bridge
	return &nftables.Table{Name: name, Family: nftables.TableFamilyNetdev}, &nftables.Table{Name: name, Family: nftables.TableFamilyINet}
}

// messages are those of routers: ICMPv6 router advertisements and redirects (RFC 4861), ICMP
// redirects (RFC 792).
var messages = []struct {
	ether       uint16
	proto, kind byte
}{{unix.ETH_P_IPV6, unix.IPPROTO_ICMPV6, 134}, {unix.ETH_P_IPV6, unix.IPPROTO_ICMPV6, 137}, {unix.ETH_P_IP, unix.IPPROTO_ICMP, 5}}

// keepRouters makes the tables; sign is not 0 where the NIC's messages bear that DSCP instead of the
// mark, and the other table has another use. Where the kernel cannot, a NIC that follows no
// advertisements can do without.
func (j *job) keepRouters(ctx context.Context, nic, br *rtnl.Link, sign uint8) error {
	atNIC, atBridge := j.tables()
	err := j.nft(ctx, "make tables of nftables", func(c *nftables.Conn) {
		all := []*nftables.Table{atNIC, atBridge}
		if sign != 0 {
			all = all[1:]
		}
		for _, t := range all {
			c.AddTable(t) // or one that a call that was killed has left
			c.DelTable(t)
			c.AddTable(t)
		}
		var mark *nftables.Chain
		if sign == 0 {
			mark = c.AddChain(&nftables.Chain{Name: "mark", Table: atNIC, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookIngress, Priority: markPriority, Device: nic.Name})
		}
		drop := c.AddChain(&nftables.Chain{Name: "drop", Table: atBridge, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: dropPriority})
		byBridge := []expr.Any{
			&expr.Meta{Key: expr.MetaKeyIIF, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: u32(uint32(br.Index))},
		}
		for _, m := range messages {
			is := []expr.Any{
				&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(m.ether)},
				&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{m.proto}},
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Len: 1},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{m.kind}},
			}
			unmarked := []expr.Any{
				&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
				&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: u32(routerMark)},
			}
			if sign != 0 {
				unmarked = hasSign(m.ether, sign, expr.CmpOpNeq)
			}
			c.AddRule(&nftables.Rule{Table: atBridge, Chain: drop, Exprs: append(slices.Concat(byBridge, is, unmarked), &expr.Verdict{Kind: expr.VerdictDrop})})
			if sign != 0 {
				continue
			}
			c.AddRule(&nftables.Rule{Table: atNIC, Chain: mark, Exprs: append(j.fromNIC(is),
				&expr.Immediate{Register: 1, Data: u32(routerMark)}, &expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1})})
		}
	})
	switch {
	case !errors.Is(err, errors.ErrUnsupported):
		return err
	case nic.HearsRouters():
		return fmt.Errorf("guests could advertise themselves as routers to the host: %w; or have %s follow none: sysctl -w net.ipv6.conf.%s.accept_ra=0", err, nic.Name, nic.Name)
	}
	j.warn("guests on %s can send the host redirects: %v", j.Bridge, err)
	return nil
}

func u32(v uint32) []byte { return binaryutil.NativeEndian.PutUint32(v) }

// dropRouters removes the tables; nil where there are none.
func (j *job) dropRouters(ctx context.Context) error {
	atNIC, atBridge := j.tables()
	for _, t := range []*nftables.Table{atBridge, atNIC} {
		if err := j.dropTable(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// dropTable removes one; nil where there is none.
func (m mover) dropTable(ctx context.Context, t *nftables.Table) error {
	err := m.nft(ctx, "remove table of nftables", func(c *nftables.Conn) { c.DelTable(t) })
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// nft makes changes in one transaction.
func (m mover) nft(ctx context.Context, step string, change func(*nftables.Conn)) error {
	return m.do(ctx, func() error {
		if err := fault.Step(ctx, step); err != nil {
			return err
		}
		c, err := nftables.New()
		if err == nil {
			change(c)
			err = c.Flush()
		}
		for _, no := range []unix.Errno{unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.EOPNOTSUPP, unix.EINVAL} {
			if errors.Is(err, no) {
				return errs.New(errors.ErrUnsupported, "this kernel lacks a part of nftables (%w): modprobe nf_tables, with CONFIG_NF_TABLES_NETDEV and CONFIG_NF_TABLES_INET", no)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
		return nil
	})
}

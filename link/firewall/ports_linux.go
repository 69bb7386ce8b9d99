package firewall

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
)

// portsTable is the table of [Ports].
func portsTable() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyBridge, Name: PortsTable}
}

// Hold makes the table, or makes it again in one step where it is not as it is to be. Where the
// kernel lacks what it needs, the error satisfies errors.ErrUnsupported.
func (p Ports) Hold(ctx context.Context) error {
	err := p.with(ctx, func(f *firewall) error {
		if is, err := p.is(ctx, f); is || err != nil {
			return err
		}
		f.nft.AddTable(portsTable()) // so that there is one to delete
		f.nft.DelTable(portsTable())
		f.nft.AddTable(portsTable())
		for _, c := range p.chains() {
			f.nft.AddChain(c.Chain)
			for _, r := range c.rules {
				f.nft.AddRule(&nftables.Rule{Table: c.Table, Chain: c.Chain, Exprs: r})
			}
		}
		return f.ask(ctx, "write nftables", f.nft.Flush)
	})
	if lacks(err) {
		return errs.New(errors.ErrUnsupported, "this kernel has no nftables for bridges: CONFIG_NF_TABLES_BRIDGE")
	}
	return err
}

// Held says whether the table is there, as Hold makes it.
func (p Ports) Held(ctx context.Context) (is bool, err error) {
	err = p.with(ctx, func(f *firewall) (err error) {
		is, err = p.is(ctx, f)
		return err
	})
	if lacks(err) {
		return false, nil
	}
	return is, err
}

// There says whether there is a table of that name.
func (p Ports) There(ctx context.Context) (is bool, err error) {
	err = p.with(ctx, func(f *firewall) error {
		return f.ask(ctx, "list table", func() error {
			_, err := f.nft.ListTableOfFamily(PortsTable, nftables.TableFamilyBridge)
			is = err == nil
			return err
		})
	})
	if lacks(err) {
		return false, nil
	}
	return is, err
}

// Release removes the table; nil where there is none.
func (p Ports) Release(ctx context.Context) error {
	err := p.with(ctx, func(f *firewall) error {
		f.nft.DelTable(portsTable())
		return f.ask(ctx, "write nftables", f.nft.Flush)
	})
	if lacks(err) {
		return nil
	}
	return err
}

// with calls a function with nftables of the network namespace.
func (p Ports) with(ctx context.Context, do func(*firewall) error) error {
	f := new(firewall)
	defer f.close()
	if err := p.Do(ctx, func() error { return f.open(ctx) }); err != nil {
		return err
	}
	return do(f)
}

// is compares the rules of each chain.
func (p Ports) is(ctx context.Context, f *firewall) (bool, error) {
	for _, c := range p.chains() {
		have, err := f.rules(ctx, c.Chain)
		if errors.Is(err, unix.ENOENT) {
			return false, nil
		}
		if err != nil || len(have) != len(c.rules) {
			return false, err
		}
		for i, r := range have {
			if !slices.EqualFunc(r.Exprs, c.rules[i], sameExpr) {
				return false, nil
			}
		}
	}
	return true, nil
}

// sameExpr compares expressions as the kernel gets them.
func sameExpr(a, b expr.Any) bool {
	one, err := expr.Marshal(byte(nftables.TableFamilyBridge), a)
	other, failed := expr.Marshal(byte(nftables.TableFamilyBridge), b)
	return err == nil && failed == nil && bytes.Equal(one, other)
}

// A portsChain is a chain with its rules.
type portsChain struct {
	*nftables.Chain
	rules [][]expr.Any
}

func (p Ports) chains() []portsChain {
	chain := func(name string, hook *nftables.ChainHook) *nftables.Chain {
		return &nftables.Chain{Name: name, Table: portsTable(), Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityFirst}
	}
	number := binary.NativeEndian.AppendUint32
	group := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFGROUP, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: number(nil, p.Group)},
	}
	mark := func(mask uint32) []expr.Any {
		return []expr.Any{
			&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: number(nil, mask), Xor: number(nil, 0)},
		}
	}
	drop := &expr.Verdict{Kind: expr.VerdictDrop}
	return []portsChain{
		{chain("prerouting", nftables.ChainHookPrerouting), [][]expr.Any{
			slices.Concat(group, mark(p.Bit), []expr.Any{&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: number(nil, 0)}, drop}),
			slices.Concat(group, mark(^p.Bit), []expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1}}),
		}},
		{chain("input", nftables.ChainHookInput), [][]expr.Any{slices.Concat(group, []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseLLHeader, Offset: 0, Len: 6},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 6, Mask: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xf0}, Xor: make([]byte, 6)},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0x01, 0x80, 0xc2, 0, 0, 0}},
			drop,
		})}},
	}
}

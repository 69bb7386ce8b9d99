package uplink

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/openflow"
	"github.com/go-pipework/pipework/internal/ovsdb"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// With the kernel's datapath of Open vSwitch a mark passes from the NIC to the bridge's interface as
// through a bridge of Linux. In userspace there are no marks. So flows write a DSCP that is drawn
// for each move into what routers say by the NIC, and take it from all other ICMP that has it; the
// host drops what routers say without it. Guests take no notice of it.

// Our flows' cookie ("pu" and nothing), the register by which a frame is looked up once more, and
// the priorities: below those of pins, so that a pinned guest's frames pass those first.
const (
	uplinkCookie   = 0x7075 << 48
	wholeCookie    = 1<<64 - 1
	signedRegister = 14
	signed         = 0x70750001
	byNIC          = 60001 // three flows
	byOthers       = 60000 // two
	flowCount      = 5
)

// newSign draws a DSCP of 1 to 63.
func newSign() uint8 {
	var b [1]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return b[0]%63 + 1
}

// signRouters puts the flows, of which the NIC has this number.
func (b openvswitch) signRouters(ctx context.Context, sign uint8, nic uint32) error {
	mods := []openflow.Mod{openflow.Delete(uplinkCookie, wholeCookie)}
	flow := func(priority uint16, dscp uint8, match ...openflow.Field) {
		match = append(match, openflow.Register(signedRegister, 0))
		mods = append(mods, openflow.Add(openflow.Flow{
			Cookie: uplinkCookie, Priority: priority, Match: match,
			Then: openflow.SetAgain(openflow.IPDSCP(dscp), signedRegister, signed),
		}))
	}
	for _, m := range messages {
		kind := openflow.ICMPv6Type(m.kind)
		if m.proto == unix.IPPROTO_ICMP {
			kind = openflow.ICMPType(m.kind)
		}
		ether, proto := openflow.EthType(m.ether), openflow.IPProto(m.proto)
		flow(byNIC, sign, openflow.InPort(nic), ether, proto, kind)
		flow(byOthers, 0, ether, openflow.IPDSCP(sign), proto)
	}
	return b.flows(ctx, mods)
}

// unsignRouters deletes the flows; with the bridge, or ovs-vswitchd, they are gone.
func (b openvswitch) unsignRouters(ctx context.Context, r *record) error {
	got, err := b.run(ctx, "look for bridge", ovsdb.Select("Bridge", ovsdb.IsRow(r.OVS.Bridge), "name"))
	if err != nil || len(got[0]) == 0 {
		return err
	}
	err = b.flows(ctx, []openflow.Mod{openflow.Delete(uplinkCookie, wholeCookie)})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// signed says whether the flows are there, as far as ovs-vswitchd tells.
func (b openvswitch) signed(ctx context.Context) bool {
	conn, err := b.dial(ctx)
	if err != nil {
		return true // there is nobody to put them
	}
	defer func() { _ = conn.Close() }()
	all, err := conn.Flows(ctx, uplinkCookie, wholeCookie)
	return err != nil || len(all) == flowCount
}

func (b openvswitch) flows(ctx context.Context, mods []openflow.Mod) error {
	conn, err := b.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Change(ctx, mods); err != nil {
		return fmt.Errorf("change flows in bridge %s: %w", b.Bridge, err)
	}
	return nil
}

// dial connects to ovs-vswitchd for the bridge.
func (b openvswitch) dial(ctx context.Context) (*openflow.Conn, error) {
	if b.OVS.Transactor != nil && b.OVS.Endpoint == "" {
		return nil, errs.New(errors.ErrUnsupported, "a Client with a Transactor does not tell where the socket for OpenFlow is: give it an Endpoint (unix:FILE), too")
	}
	path, err := ovsdb.Management(b.OVS.Endpoint, b.Bridge)
	if err != nil {
		return nil, err
	}
	conn, err := openflow.Dial(ctx, path)
	if refused := new(openflow.Refusal); errors.As(err, &refused) && refused.Version() {
		return nil, errs.New(errors.ErrUnsupported, "bridge %s does not speak OpenFlow 1.4: `ovs-vsctl add bridge %s protocols OpenFlow14`", b.Bridge, b.Bridge)
	}
	return conn, err
}

// hasSign is what a packet's DSCP is compared by: RFC 2474, RFC 8200.
func hasSign(ether uint16, sign uint8, op expr.CmpOp) []expr.Any {
	if ether == unix.ETH_P_IP {
		return []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 1, Len: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{0xfc}, Xor: []byte{0}},
			&expr.Cmp{Op: op, Register: 1, Data: []byte{sign << 2}},
		}
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Len: 2},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 2, Mask: []byte{0x0f, 0xc0}, Xor: []byte{0, 0}},
		&expr.Cmp{Op: op, Register: 1, Data: []byte{sign >> 2, sign << 6}},
	}
}

// deafen keeps the kernel from taking what comes in by the NIC: ovs-vswitchd has read a copy of each
// frame by then (packet(7)), and all of them would come in twice.
func (b openvswitch) deafen(ctx context.Context, nic *rtnl.Link) error {
	table, _ := b.tables()
	return b.nft(ctx, "make table of nftables", func(c *nftables.Conn) {
		c.AddTable(table)
		c.DelTable(table)
		c.AddTable(table)
		drop := nftables.ChainPolicyDrop
		c.AddChain(&nftables.Chain{Name: "deaf", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookIngress, Priority: markPriority, Device: nic.Name, Policy: &drop})
	})
}

// hear is the reverse.
func (b openvswitch) hear(ctx context.Context) error {
	table, _ := b.tables()
	return b.dropTable(ctx, table)
}

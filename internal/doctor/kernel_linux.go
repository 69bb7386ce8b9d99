package doctor

import (
	"context"
	"fmt"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/link/firewall"
	"github.com/go-pipework/pipework/ns"
)

// kernel tries what links need in a network namespace that is thrown away.
func kernel(context.Context) []Finding {
	tried := make(chan []Finding)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			tried <- []Finding{{"kernel", Note, fmt.Sprintf("not tried: no network namespace can be made here (%v)", err), "run it as root"}}
			return
		}
		h, err := netlink.NewHandle()
		if err != nil {
			tried <- []Finding{{"kernel", Note, fmt.Sprintf("not tried: %v", err), "run it as root"}}
			return
		}
		defer h.Close()
		tried <- trial{h}.kinds()
	}()
	return <-tried
}

// A trial is the namespace that is thrown away.
type trial struct{ *netlink.Handle }

func attrs(name string) netlink.LinkAttrs { return netlink.LinkAttrs{Name: name} }

// on is what stands on p0.
func (t trial) on(name string) netlink.LinkAttrs {
	a := attrs(name)
	if parent, err := t.LinkByName("p0"); err == nil {
		a.ParentIndex = parent.Attrs().Index
	}
	return a
}

// kinds makes a link of each kind, and what else a Spec may ask of the kernel.
func (t trial) kinds() (found []Finding) {
	filtering := true
	works := 0
	for _, one := range []struct {
		level  Level // where it fails
		what   string
		module string
		do     func() error
	}{
		{Problem, "veth pairs", "veth", func() error {
			return t.LinkAdd(&netlink.Veth{LinkAttrs: attrs("p0"), PeerName: "p1"})
		}},
		{Problem, "bridges", "bridge", func() error { return t.LinkAdd(&netlink.Bridge{LinkAttrs: attrs("b0")}) }},
		{Note, "VLANs on a bridge (@vlan, --trunk)", "bridge, with CONFIG_BRIDGE_VLAN_FILTERING", func() error {
			return t.LinkAdd(&netlink.Bridge{LinkAttrs: attrs("b1"), VlanFiltering: &filtering})
		}},
		{Note, "macvlan", "macvlan", func() error {
			return t.LinkAdd(&netlink.Macvlan{LinkAttrs: t.on("m0"), Mode: netlink.MACVLAN_MODE_BRIDGE})
		}},
		{Note, "ipvlan", "ipvlan", func() error {
			return t.LinkAdd(&netlink.IPVlan{LinkAttrs: t.onFresh("i"), Mode: netlink.IPVLAN_MODE_L2})
		}},
		{Note, "VLANs of a NIC (vlan:, @vlan)", "8021q", func() error { return t.LinkAdd(&netlink.Vlan{LinkAttrs: t.on("v0"), VlanId: 7}) }},
		{Note, "dummies", "dummy", func() error { return t.LinkAdd(&netlink.Dummy{LinkAttrs: attrs("d0")}) }},
		{Note, "shaping by rate (--egress rate=)", "sch_tbf", func() error {
			return t.QdiscAdd(&netlink.Tbf{QdiscAttrs: root(t.on("").ParentIndex), Rate: 1 << 20, Limit: 1 << 20, Buffer: 1 << 20})
		}},
		{Note, "shaping by delay and loss (--egress delay=)", "sch_netem", func() error {
			return t.QdiscAdd(netlink.NewNetem(root(t.onFresh("n").ParentIndex), netlink.NetemQdiscAttrs{Latency: 1000}))
		}},
		{Note, "pinned guests (--pin)", "-a sch_ingress cls_bpf", t.filter},
		{Note, "pinned guests that have CAP_NET_ADMIN (--pin)", "-a act_skbedit nf_tables, with CONFIG_NF_TABLES_BRIDGE", t.ports},
	} {
		if err := one.do(); err != nil {
			found = append(found, Finding{"kernel", one.level, fmt.Sprintf("%s: %v", one.what, err), "modprobe " + one.module})
			continue
		}
		works++
	}
	return append(found, Finding{"kernel", OK, fmt.Sprintf("%d kinds of links and settings work", works), ""})
}

// filter has a link look at what it receives, as a pinned guest's end does.
func (t trial) filter() error {
	c, err := ns.Dial(context.Background())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	pass := []bpf.RawInstruction{{Op: unix.BPF_RET | unix.BPF_K, K: 0xffffffff}}
	return rtnl.SetFilter(context.Background(), c, t.onFresh("c").ParentIndex, pass)
}

// ports holds a port of a bridge to its filter, as that of a pinned guest is.
func (t trial) ports() error {
	ctx := context.Background()
	c, err := ns.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	index := t.onFresh("h").ParentIndex
	pass := []bpf.RawInstruction{{Op: unix.BPF_RET | unix.BPF_K, K: 0xffffffff}}
	if err := rtnl.SetFilter(ctx, c, index, pass); err != nil {
		return err
	}
	if err := rtnl.SetPassed(ctx, c, index); err != nil {
		return err
	}
	here := func(_ context.Context, f func() error) error { return f() }
	return firewall.Ports{Do: here, Group: rtnl.Pinned, Bit: rtnl.PassedBit}.Hold(ctx)
}

// onFresh is on a link of its own: a NIC that has a macvlan takes no ipvlan.
func (t trial) onFresh(name string) netlink.LinkAttrs {
	a := netlink.LinkAttrs{Name: name + "1"}
	if t.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name + "2"}, PeerName: name + "3"}) == nil {
		if parent, err := t.LinkByName(name + "2"); err == nil {
			a.ParentIndex = parent.Attrs().Index
		}
	}
	return a
}

func root(index int) netlink.QdiscAttrs {
	return netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
}

package rtnl

import (
	"context"
	"errors"
	"net"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// Unfinished is the group that every link is born in, and leaves when [Finish]
// marks it: a link cannot be born with an alias. One that stays in it, without an
// alias, was made by a process that was killed. The number is "pwrk".
const Unfinished = 0x7077726b

// Unfinished says that pipework has made the link, and has not marked it yet.
func (l *Link) Unfinished() bool { return l.Group == Unfinished }

// Finish is [SetLink] for a link that was just made: with its mark it leaves the
// group that says that it has none.
func Finish(ctx context.Context, c *ns.Conn, name, alias string) error {
	m := upMessage(name, alias)
	m.attrU32(unix.IFLA_GROUP, 0)
	return setUp(ctx, c, name, m)
}

// Pinned is the group of links whose frames are dropped that SetPassed's classifier has not
// marked. The number is "pwpn".
const Pinned = 0x7077706e

// FinishPlain is Finish for a link that is to have no IPv6 address, not even a
// link-local one, and to be in this group (0 is the default one). Without that address it also
// says nothing by itself.
func FinishPlain(ctx context.Context, c *ns.Conn, name, alias string, group uint32) error {
	return finishPlain(ctx, c, name, func() message {
		m := upMessage(name, alias)
		m.attrU32(unix.IFLA_GROUP, group)
		return m
	})
}

// FinishPlainDown is FinishPlain for a link that is to stay down, in no group.
func FinishPlainDown(ctx context.Context, c *ns.Conn, name, alias string) error {
	return finishPlain(ctx, c, name, func() message {
		m := linkHeader(0, 0, 0)
		m.attrString(unix.IFLA_IFNAME, name)
		m.attr(unix.IFLA_IFALIAS, []byte(alias)...)
		m.attrU32(unix.IFLA_GROUP, 0)
		return m
	})
}

func finishPlain(ctx context.Context, c *ns.Conn, name string, begin func() message) error {
	m := begin()
	spec := m.nest(unix.IFLA_AF_SPEC)
	inet6 := m.nest(unix.AF_INET6)
	m.attr(inet6AddrGenMode, addrGenModeNone)
	m.end(inet6)
	m.end(spec)
	err := setUp(ctx, c, name, m)
	if errors.Is(err, unix.EAFNOSUPPORT) { // no IPv6 in the kernel, or too small an MTU for it
		m = begin()
		return setUp(ctx, c, name, m)
	}
	return err
}

// FinishDown is Finish for a link that is to stay down.
func FinishDown(ctx context.Context, c *ns.Conn, index int, alias string) error {
	m := linkHeader(index, 0, 0)
	m.attr(unix.IFLA_IFALIAS, []byte(alias)...)
	m.attrU32(unix.IFLA_GROUP, 0)
	_, err := c.Do(ctx, m.request(unix.RTM_SETLINK, unix.NLM_F_ACK), 0)
	return err
}

// An End is one end of a veth pair.
type End struct {
	Name string
	MAC  net.HardwareAddr // nil: the kernel's choice
	MTU  int              // bytes; 0: the kernel's default
	// Finished says that it is not to be born in the group Unfinished.
	Finished bool
}

// A Veth is a pair to be made in one message, both ends down: one end here, the
// other in another namespace.
type Veth struct {
	Here, There End
	Master      int        // of the end here; 0: none
	Namespace   *ns.Handle // of the end there
}

// Add makes the pair. Errors are the kernel's; unix.EEXIST stands for either
// name.
func (v Veth) Add(ctx context.Context, c *ns.Conn) error {
	m := linkHeader(0, 0, 0)
	v.Here.append(&m)
	if v.Master != 0 {
		m.attrU32(unix.IFLA_MASTER, uint32(v.Master))
	}
	info := m.nest(unix.IFLA_LINKINFO)
	m.attr(nl.IFLA_INFO_KIND, []byte("veth")...)
	data := m.nest(nl.IFLA_INFO_DATA)
	peer := m.nest(nl.VETH_INFO_PEER)
	m = append(m, make([]byte, unix.SizeofIfInfomsg)...)
	v.There.append(&m)
	m.attrU32(unix.IFLA_NET_NS_FD, uint32(v.Namespace.NetNS()))
	m.end(peer)
	m.end(data)
	m.end(info)
	_, err := c.Do(ctx, m.request(unix.RTM_NEWLINK, NewLinkFlags), 0)
	return err
}

func (e End) append(m *message) {
	m.attrString(unix.IFLA_IFNAME, e.Name)
	if !e.Finished {
		m.attrU32(unix.IFLA_GROUP, Unfinished)
	}
	if e.MAC != nil {
		m.attr(unix.IFLA_ADDRESS, e.MAC...)
	}
	if e.MTU > 0 {
		m.attrU32(unix.IFLA_MTU, uint32(e.MTU))
	}
}

// A NewLink is a link of any kind to be made in one message. The zero value of
// what it says beside name and kind stands for the kernel's default.
type NewLink struct {
	End
	Kind      string // of its rtnl_link_ops
	Option    Option
	Up        bool
	Index     int        // in its namespace
	Parent    int        // index here of what it stands on
	Namespace *ns.Handle // where it is to be; nil: here
}

// An Option is an attribute of IFLA_INFO_DATA, which each kind has its own of.
type Option struct {
	Type  uint16
	Value []byte
}

// Add makes the link. Errors are the kernel's.
func (n NewLink) Add(ctx context.Context, c *ns.Conn) error {
	var up uint32
	if n.Up {
		up = unix.IFF_UP
	}
	m := linkHeader(n.Index, up, up)
	n.append(&m)
	if n.Parent != 0 {
		m.attrU32(unix.IFLA_LINK, uint32(n.Parent))
	}
	if n.Namespace != nil {
		m.attrU32(unix.IFLA_NET_NS_FD, uint32(n.Namespace.NetNS()))
	}
	m.attrInfo(n.Kind, n.Option)
	_, err := c.Do(ctx, m.request(unix.RTM_NEWLINK, NewLinkFlags), 0)
	return err
}

// attrInfo appends IFLA_LINKINFO.
func (m *message) attrInfo(kind string, o Option) {
	info := m.nest(unix.IFLA_LINKINFO)
	m.attr(nl.IFLA_INFO_KIND, []byte(kind)...)
	if o.Value != nil {
		data := m.nest(nl.IFLA_INFO_DATA)
		m.attr(o.Type, o.Value...)
		m.end(data)
	}
	m.end(info)
}

package rtnl

import (
	"context"
	"net"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/ns"
)

// An End is one end of a veth pair.
type End struct {
	Name string
	MAC  net.HardwareAddr
	MTU  int // bytes; 0: the kernel's default
}

// A Veth is a pair to be made in one message: one end here, up, the other in
// another namespace, down: the kernel cannot make both ends up.
type Veth struct {
	Here, There End
	Master      int        // of the end here; 0: none
	Namespace   *ns.Handle // of the end there
}

// Add makes the pair. Errors are the kernel's; unix.EEXIST stands for either
// name.
func (v Veth) Add(ctx context.Context, c *ns.Conn) error {
	m := linkHeader(0, unix.IFF_UP, unix.IFF_UP)
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
	m.attr(unix.IFLA_ADDRESS, e.MAC...)
	if e.MTU > 0 {
		m.attrU32(unix.IFLA_MTU, uint32(e.MTU))
	}
}

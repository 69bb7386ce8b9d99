package rtnl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/ns"
)

// A Link is what RTM_GETLINK says of one interface, as far as pipework asks.
type Link struct {
	Index     int
	Name      string
	Kind      string // "bridge", "veth", …; "" for a device without rtnl_link_ops
	Type      uint16 // ARPHRD_*
	MAC       net.HardwareAddr
	Broadcast net.HardwareAddr
	MTU       int
	Master    int  // index of the bridge or bond; 0: none
	Parent    int  // IFLA_LINK: index of the lower device or peer; 0: none
	Foreign   bool // Parent is an index in another namespace
	NSID      int  // of that namespace, as this one calls it
	Alias     string
	AltNames  []string
	Up        bool   // IFF_UP
	Promisc   bool   // IFF_PROMISC: somebody has set the flag
	NoARP     bool   // IFF_NOARP: has no neighbours to tell anything
	Running   bool   // carrier, and operational
	Downs     uint32 // IFLA_CARRIER_DOWN_COUNT: how often it has lost its carrier
	Group     uint32 // IFLA_GROUP; 0: the default one
	Settings  Settings
	PortState int    // IFLA_BRPORT_STATE of a bridge port; -1 when it is none
	Data      []byte // IFLA_INFO_DATA
	PortData  []byte // IFLA_INFO_SLAVE_DATA
	Families  []byte // IFLA_AF_SPEC: settings of IPv4 and IPv6
}

// skipStats is RTEXT_FILTER_SKIP_STATS: counters are large and unused.
const skipStats = 1 << 3

// LinkByName asks for one link. A name that no link bears is fs.ErrNotExist.
func LinkByName(ctx context.Context, c *ns.Conn, name string) (*Link, error) {
	return getLink(ctx, c, 0, name)
}

// LinkByIndex asks for one link by its index.
func LinkByIndex(ctx context.Context, c *ns.Conn, index int) (*Link, error) {
	return getLink(ctx, c, index, "")
}

func getLink(ctx context.Context, c *ns.Conn, index int, name string) (*Link, error) {
	m := linkHeader(index, 0, 0)
	m.attrU32(unix.IFLA_EXT_MASK, skipStats)
	if name != "" {
		m.attrString(unix.IFLA_IFNAME, name)
	}
	msgs, err := c.Do(ctx, m.request(unix.RTM_GETLINK, 0), 0)
	if errors.Is(err, unix.ENODEV) {
		return nil, errs.New(fs.ErrNotExist, "no interface %s", orIndex(name, index))
	}
	if err != nil {
		return nil, fmt.Errorf("look up interface %s: %w", orIndex(name, index), err)
	}
	if len(msgs) != 1 {
		return nil, fmt.Errorf("look up interface %s: the kernel gave %d answers", orIndex(name, index), len(msgs))
	}
	return parseLink(msgs[0])
}

func orIndex(name string, index int) string {
	if name != "" {
		return name
	}
	return fmt.Sprintf("with index %d", index)
}

// Links lists the links of a namespace.
func Links(ctx context.Context, c *ns.Conn) ([]*Link, error) {
	req := LinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP, &nl.IfInfomsg{})
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
	return dumpLinks(ctx, c, req)
}

// Ports lists the ports of a bridge or bond.
func Ports(ctx context.Context, c *ns.Conn, master int) ([]*Link, error) {
	req := LinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP, &nl.IfInfomsg{})
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
	req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(master))))
	return dumpLinks(ctx, c, req)
}

// LinksOfKind lists the links that have these rtnl_link_ops.
func LinksOfKind(ctx context.Context, c *ns.Conn, kind string) ([]*Link, error) {
	m := linkHeader(0, 0, 0)
	m.attrU32(unix.IFLA_EXT_MASK, skipStats)
	m.attrInfo(kind, Option{})
	msgs, err := c.Do(ctx, m.request(unix.RTM_GETLINK, unix.NLM_F_DUMP), unix.RTM_NEWLINK)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	links, err := parseLinks(msgs)
	// A kernel that does not know the kind lists everything.
	return slices.DeleteFunc(links, func(l *Link) bool { return l.Kind != kind }), err
}

func dumpLinks(ctx context.Context, c *ns.Conn, req *nl.NetlinkRequest) ([]*Link, error) {
	msgs, err := c.Do(ctx, req, unix.RTM_NEWLINK)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	return parseLinks(msgs)
}

func parseLinks(msgs [][]byte) ([]*Link, error) {
	links := make([]*Link, 0, len(msgs))
	for _, m := range msgs {
		l, err := parseLink(m)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}

// LinkRequest begins a link message.
func LinkRequest(msgType, flags int, msg *nl.IfInfomsg) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(msgType, flags)
	req.AddData(msg)
	return req
}

// NewLinkFlags are the netlink flags of `ip link add`.
const NewLinkFlags = unix.NLM_F_CREATE | unix.NLM_F_EXCL | unix.NLM_F_ACK

// inUseTime bounds the wait for a MAC that is in use.
const inUseTime = time.Second

// SetLink changes the link called name: its alias when that is not empty, and
// up, in one message. A macvlan whose MAC another one on the same parent has
// cannot come up (EADDRINUSE); that is so for some tens of milliseconds after
// the death of a guest whose MAC is given to its successor, and is waited for.
func SetLink(ctx context.Context, c *ns.Conn, name, alias string) error {
	return setUp(ctx, c, name, upMessage(name, alias))
}

func upMessage(name, alias string) message {
	m := linkHeader(0, unix.IFF_UP, unix.IFF_UP)
	m.attrString(unix.IFLA_IFNAME, name)
	if alias != "" {
		m.attr(unix.IFLA_IFALIAS, []byte(alias)...)
	}
	return m
}

func setUp(ctx context.Context, c *ns.Conn, name string, m message) error {
	for end := time.Now().Add(inUseTime); ; {
		_, err := c.Do(ctx, m.request(unix.RTM_SETLINK, unix.NLM_F_ACK), 0)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EADDRINUSE):
			return fmt.Errorf("set %s up: %w", name, err)
		case time.Now().After(end):
			return fmt.Errorf("set %s up: %w: its parent, or another interface on that, has the same MAC", name, err)
		}
		if err := pause.For(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// NSID is what the namespace of c calls the other namespace, RTM_GETNSID; -1 when
// it has no number for it.
func NSID(ctx context.Context, c *ns.Conn, other *ns.Handle) (int, error) {
	m := make(message, 4, 16) // struct rtgenmsg, padded
	m.attrU32(netnsaFD, uint32(other.NetNS()))
	msgs, err := c.Do(ctx, m.request(unix.RTM_GETNSID, 0), unix.RTM_NEWNSID)
	if err != nil || len(msgs) != 1 || len(msgs[0]) < 4 {
		return -1, err
	}
	return int(int32(u32(Attr(msgs[0][4:], netnsaNSID)))), nil
}

// Number has the namespace of c call the other namespace by a number, RTM_NEWNSID, and
// returns that: the one that it has, or a new one.
func Number(ctx context.Context, c *ns.Conn, other *ns.Handle) (int, error) {
	if id, err := NSID(ctx, c, other); id >= 0 || err != nil {
		return id, err
	}
	m := make(message, 4, 24)
	m.attrU32(netnsaFD, uint32(other.NetNS()))
	m.attrU32(netnsaNSID, ^uint32(0)) // NETNSA_NSID_NOT_ASSIGNED: the kernel chooses
	if _, err := c.Do(ctx, m.request(unix.RTM_NEWNSID, unix.NLM_F_ACK), 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, fmt.Errorf("number a network namespace: %w", err)
	}
	return NSID(ctx, c, other)
}

// LinkIn asks for one link by its index in the namespace that c's calls by this number. One
// that is not there, as of a namespace that is gone, is fs.ErrNotExist.
func LinkIn(ctx context.Context, c *ns.Conn, nsid, index int) (*Link, error) {
	m := linkHeader(index, 0, 0)
	m.attrU32(unix.IFLA_TARGET_NETNSID, uint32(nsid))
	m.attrU32(unix.IFLA_EXT_MASK, skipStats)
	msgs, err := c.Do(ctx, m.request(unix.RTM_GETLINK, 0), 0)
	switch {
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.EINVAL), err == nil && len(msgs) != 1:
		return nil, errs.New(fs.ErrNotExist, "no interface %d in network namespace %d", index, nsid)
	case err != nil:
		return nil, fmt.Errorf("look up interface %d in network namespace %d: %w", index, nsid, err)
	}
	return parseLink(msgs[0])
}

// Attributes of linux/net_namespace.h.
const (
	netnsaNSID = 1 // NETNSA_NSID
	netnsaFD   = 3 // NETNSA_FD
)

// SetMaster puts the link into a bridge; master 0 takes it out of any.
func SetMaster(ctx context.Context, c *ns.Conn, index, master int) error {
	return setLinkAttr(ctx, c, index, unix.IFLA_MASTER, nl.Uint32Attr(uint32(master)))
}

// SetMTU sets the link's MTU in bytes.
func SetMTU(ctx context.Context, c *ns.Conn, index, mtu int) error {
	return setLinkAttr(ctx, c, index, unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu)))
}

// SetMAC sets the link's hardware address.
func SetMAC(ctx context.Context, c *ns.Conn, index int, mac net.HardwareAddr) error {
	return setLinkAttr(ctx, c, index, unix.IFLA_ADDRESS, mac)
}

// SetAlias sets the link's ifalias, at most 255 bytes.
func SetAlias(ctx context.Context, c *ns.Conn, index int, alias string) error {
	return setLinkAttr(ctx, c, index, unix.IFLA_IFALIAS, []byte(alias))
}

func setLinkAttr(ctx context.Context, c *ns.Conn, index, attr int, value []byte) error {
	req := LinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK, &nl.IfInfomsg{IfInfomsg: unix.IfInfomsg{Index: int32(index)}})
	req.AddData(nl.NewRtAttr(attr, value))
	_, err := c.Do(ctx, req, 0)
	return err
}

// SetDown sets the link down.
func SetDown(ctx context.Context, c *ns.Conn, index int) error {
	return clearFlag(ctx, c, index, unix.IFF_UP)
}

// ClearPromisc takes back that somebody has set IFF_PROMISC.
func ClearPromisc(ctx context.Context, c *ns.Conn, index int) error {
	return clearFlag(ctx, c, index, unix.IFF_PROMISC)
}

func clearFlag(ctx context.Context, c *ns.Conn, index int, flag uint32) error {
	msg := &nl.IfInfomsg{IfInfomsg: unix.IfInfomsg{Index: int32(index), Change: flag}}
	_, err := c.Do(ctx, LinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK, msg), 0)
	return err
}

// A Place is where [Move] moves a link, and what it is called there.
type Place struct {
	Namespace *ns.Handle
	Name      string
}

// Move moves a link into another namespace and renames it in the same step: so
// it cannot clash with a link there that bears its old name.
func Move(ctx context.Context, c *ns.Conn, index int, to Place) error {
	m := linkHeader(index, 0, 0)
	m.attrU32(unix.IFLA_NET_NS_FD, uint32(to.Namespace.NetNS()))
	m.attrString(unix.IFLA_IFNAME, to.Name)
	if _, err := c.Do(ctx, m.request(unix.RTM_SETLINK, unix.NLM_F_ACK), 0); err != nil {
		return fmt.Errorf("move %s in: %w", to.Name, err)
	}
	return nil
}

// Rename gives the link another name. It must be down, before Linux 6.2.
func Rename(ctx context.Context, c *ns.Conn, index int, name string) error {
	m := linkHeader(index, 0, 0)
	m.attrString(unix.IFLA_IFNAME, name)
	_, err := c.Do(ctx, m.request(unix.RTM_SETLINK, unix.NLM_F_ACK), 0)
	return err
}

// SetOption changes one of the options of the link's kind.
func SetOption(ctx context.Context, c *ns.Conn, l *Link, o Option) error {
	m := linkHeader(l.Index, 0, 0)
	m.attrInfo(l.Kind, o)
	_, err := c.Do(ctx, m.request(unix.RTM_NEWLINK, unix.NLM_F_ACK), 0)
	return err
}

// DelLink removes the link called name; nil when there is none.
func DelLink(ctx context.Context, c *ns.Conn, name string) error {
	req := LinkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, &nl.IfInfomsg{})
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if _, err := c.Do(ctx, req, 0); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove interface %s: %w", name, err)
	}
	return nil
}

// DelLinkByIndex is [DelLink] for a link that may be renamed meanwhile.
func DelLinkByIndex(ctx context.Context, c *ns.Conn, index int) error {
	req := LinkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, &nl.IfInfomsg{IfInfomsg: unix.IfInfomsg{Index: int32(index)}})
	if _, err := c.Do(ctx, req, 0); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove interface %d: %w", index, err)
	}
	return nil
}

func parseLink(m []byte) (*Link, error) {
	if len(m) < unix.SizeofIfInfomsg {
		return nil, fmt.Errorf("read interface: message of %d bytes", len(m))
	}
	msg := nl.DeserializeIfInfomsg(m)
	l := &Link{
		Index: int(msg.Index), Type: msg.Type, PortState: -1,
		Up:      msg.Flags&unix.IFF_UP != 0,
		NoARP:   msg.Flags&unix.IFF_NOARP != 0,
		Promisc: msg.Flags&unix.IFF_PROMISC != 0,
		Running: msg.Flags&unix.IFF_RUNNING != 0 && msg.Flags&unix.IFF_LOWER_UP != 0,
	}
	l.Settings.Flags = msg.Flags & settable
	for attr, value := range attrs(m[unix.SizeofIfInfomsg:]) {
		switch attr {
		case unix.IFLA_TXQLEN, unix.IFLA_GSO_MAX_SIZE, unix.IFLA_GSO_MAX_SEGS, unix.IFLA_GRO_MAX_SIZE:
			*l.Settings.field(attr) = u32(value)
		case unix.IFLA_IFNAME:
			l.Name = unix.ByteSliceToString(value)
		case unix.IFLA_ADDRESS:
			l.MAC = net.HardwareAddr(value)
		case unix.IFLA_BROADCAST:
			l.Broadcast = net.HardwareAddr(value)
		case unix.IFLA_MTU:
			l.MTU = int(u32(value))
		case unix.IFLA_MASTER:
			l.Master = int(u32(value))
		case unix.IFLA_LINK:
			l.Parent = int(u32(value))
		case unix.IFLA_LINK_NETNSID:
			l.Foreign, l.NSID = true, int(int32(u32(value)))
		case unix.IFLA_CARRIER_DOWN_COUNT:
			l.Downs = u32(value)
		case unix.IFLA_GROUP:
			l.Group = u32(value)
			l.Settings.Group = l.Group
		case unix.IFLA_IFALIAS:
			l.Alias = unix.ByteSliceToString(value)
		case unix.IFLA_PROP_LIST:
			l.AltNames = parseAltNames(value)
		case unix.IFLA_AF_SPEC:
			l.Families = value
		case unix.IFLA_LINKINFO:
			l.parseInfo(value)
		}
	}
	return l, nil
}

func (l *Link) parseInfo(b []byte) {
	var portKind string
	for attr, value := range attrs(b) {
		switch attr {
		case nl.IFLA_INFO_KIND:
			l.Kind = unix.ByteSliceToString(value)
		case nl.IFLA_INFO_DATA:
			l.Data = value
		case nl.IFLA_INFO_SLAVE_KIND:
			portKind = unix.ByteSliceToString(value)
		case nl.IFLA_INFO_SLAVE_DATA:
			l.PortData = value
		}
	}
	if v := Attr(l.PortData, nl.IFLA_BRPORT_STATE); portKind == "bridge" && len(v) == 1 {
		l.PortState = int(v[0])
	}
}

func u32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return nl.NativeEndian().Uint32(b)
}

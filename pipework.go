// Package pipework plugs running containers, or any network namespace, into
// networks, and unplugs them again exactly.
//
// [Attach] gives the guest that a [Target] finds an interface as a [Spec]
// describes it: a backend such as link.Bridge, addresses, gateways. [Update]
// changes it, and [Detach] takes it away and puts back what it displaced; [AttachAll]
// and [DetachAll] do so for many. [List] and [Check] tell what is plugged in and what
// drifted. Package functions use the zero [Attacher].
//
//	a, err := pipework.Attach(ctx, docker.Container("web"), pipework.Spec{
//		Link:     link.Bridge{Name: "br1"},
//		Addrs:    []netip.Prefix{netip.MustParsePrefix("192.168.1.1/24")},
//		Gateways: []netip.Addr{netip.MustParseAddr("192.168.1.254")},
//	})
//
// Nothing is left half-done: after an error, a cancelled context, or a Detach,
// links, addresses and routes on the host and in the guest equal what they were, but for an
// interface that had to be recreated (see [Attach]).
// What pipework made bears a mark in its ifalias (see link.Mark), so that programs
// need not share anything to work together. Only of an interface of the host's own
// that is in a guest (link.Phys) the host keeps a record, in /run/pipework-nics.
//
// It works on Linux 5.3 and later with CAP_NET_ADMIN and CAP_SYS_ADMIN in the
// host's and the guest's namespaces, CAP_NET_RAW in the guest's, and CAP_SYS_PTRACE over
// its process; elsewhere every call answers
// [errors.ErrUnsupported]. It starts no program, and no goroutine or thread
// outlives a call, but for some milliseconds the goroutine that closes the
// socket an announcement was sent on.
package pipework

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A Target finds one guest: ns.PID(1234), ns.Path("/run/netns/x"),
// ns.Named("x"), docker.Container("web").
type Target = ns.Target

// A Spec says what to plug into a guest.
type Spec struct {
	// Link makes the interface. For Detach and Check nil means: whatever the
	// mark on the interface says, for backends of package link.
	Link link.Backend `json:"-"`
	// Name of the interface inside the guest, at most 15 bytes; "" means eth1.
	Name string `json:"name,omitempty"`
	// MAC of the interface inside the guest; nil stands for a random locally
	// administered one, or what a link.FixedMAC has.
	MAC net.HardwareAddr `json:"mac,omitempty"`
	// DefaultMAC is the MAC of a new interface where MAC is nil, in place of a random
	// one: it makes an interface that is plugged in again the same as before. An
	// interface that is there already may have another.
	DefaultMAC net.HardwareAddr `json:"default_mac,omitempty"`
	// MTU in bytes; 0 takes the bridge's or parent's. The bridge keeps its own.
	MTU int `json:"mtu,omitempty"`
	// Addrs are the addresses, with host bits and prefix length. Without any,
	// the interface is up and has no address.
	Addrs []netip.Prefix `json:"addrs,omitempty"`
	// Gateways, at most one of each family, replace the default routes of their
	// family. Detach puts the displaced ones back. A gateway that no address
	// covers is reached by a host route.
	Gateways []netip.Addr `json:"gateways,omitempty"`
	// DHCP asks a server for an IPv4 address and the routes, MTU and name servers
	// that go with it, or with dhcp.Config.Family for IPv6 addresses, or for both,
	// beside Addrs. An address has the lease's time as its lifetime: one that nobody
	// keeps (see [Attacher.Kept]) goes away when the lease ends. A gateway in
	// Gateways, one of Routes, or an MTU, comes before the lease's. A server recognises the guest by
	// its MAC: without one here, or a ClientID or DUID, a guest that is recreated is
	// given another address. Detach gives the lease back.
	//
	// IPv6 routes come from router advertisements, which the kernel then follows on
	// this interface; Attach waits two seconds for a default route, and warns when none
	// came.
	DHCP *dhcp.Config `json:"dhcp,omitempty"`
	// SLAAC waits for addresses that the kernel makes from router advertisements
	// (RFC 4862), and switches on what it needs for that on this interface: IPv6,
	// accept_ra and autoconf. A default route is advertised too, unless Gateways has
	// an IPv6 one. None within 14 seconds is an error that satisfies
	// os.ErrDeadlineExceeded.
	SLAAC bool `json:"slaac,omitempty"`
	// Routes lead through the interface, beside those to its addresses' subnets and
	// to Gateways; one that needs another comes after it. A route with the same
	// destination, metric and table that is there already is an error that satisfies
	// fs.ErrExist.
	Routes []link.Route `json:"routes,omitempty"`
	// Rules say which packets are routed by which table. Detach removes them.
	Rules []link.Rule `json:"rules,omitempty"`
	// Egress slows down what the guest sends by the interface, and Ingress what it
	// receives; that is done where the host sends it, so that only a Link with an end
	// on the host can do it: others are errors.ErrUnsupported.
	Egress  *link.Shaping `json:"egress,omitempty"`
	Ingress *link.Shaping `json:"ingress,omitempty"`
	// Pin is for a guest that is not trusted: no frame leaves it with another source MAC than
	// the interface's, nor with an address, in ARP, IPv4, IPv6 or a neighbour advertisement,
	// that is not one of Addrs, of its leases, or the link-local one that is made of its MAC
	// (with SLAAC or DHCPv6, of any prefix). What only routers say (advertisements, redirects,
	// queries of IGMP and MLD, PIM), and UDP from the port of a DHCP server or to that of a client, is
	// dropped, as is what is neither ARP nor IP, and frames with a VLAN's tag, unless they are
	// of the bridge's Trunks. The filter is there before the interface is up, on its end on the
	// host, which Link has to have: link.Bridge, link.Veth, or ovs.Bridge, whose flows differ a
	// little (docs/ovs.md). It goes with the interface. A
	// guest with CAP_NET_ADMIN in its namespace can make the answers of a DHCP server up that
	// the client in its namespace hears: give such a guest Addrs. Two ways around the filter, for
	// guests with CAP_NET_ADMIN or CAP_NET_RAW, are known: see SECURITY.md. Needs sch_ingress
	// and cls_bpf in the kernel, and to hold guests with CAP_NET_ADMIN act_skbedit and nftables
	// for bridges; of what is missing of the latter, and for link.Veth, Attach warns.
	Pin bool `json:"pin,omitempty"`
	// Add asks Attach to add to an interface that is there already: where Link is
	// the same, and its settings, MAC and MTU are as this Spec asks (or does not say),
	// it gets those of Addrs, Gateways and Routes that it lacks, and keeps what it has;
	// a link that is down, or in no bridge any more, is mended.
	// Without Add, where they are not, and where it lacks some of Rules, Egress and
	// Ingress, that is an error that satisfies fs.ErrExist.
	Add bool `json:"-"`
	// Beneath are names of other interfaces of pipework's. Where one of them has the default
	// route, it keeps it, and the gateways here, and those of leases, count once that is
	// detached. It is of one call.
	Beneath []string `json:"-"`
	// Last says that what this Spec declares is declared now: an interface that is there
	// already gets the default route, as a new one does, unless one of Beneath has it. Without
	// it Attach and Update leave an interface beneath others where it is, but where its gateway
	// is another one. It is of one call.
	Last bool `json:"-"`
	// Saved is what [Attachment].Saved was. Of what the guest keeps no more of it Check tells,
	// Attach and Update have the guest keep it again, and Detach puts it back. That of another
	// network namespace does not count. It is of one call.
	Saved [][]byte `json:"-"`
	// AllowHost permits a guest that shares the host's own network namespace,
	// such as a container run with --net=host: it reconfigures the host.
	AllowHost bool `json:"allow_host,omitempty"`
	// Force lets Detach bring an interface to the host that bears the mark of a
	// link.Phys, and of which the host has no record that it is the one: then it may be
	// the guest's own, and what the host sends by it goes to the guest.
	Force bool `json:"-"`
}

// DefaultName is the interface's name inside the guest where a Spec has none.
const DefaultName = "eth1"

// An Attachment is one interface that is plugged in, as the kernel tells it.
type Attachment struct {
	Guest ns.Identity `json:"guest"`
	// Name of the interface inside the guest, and Index there.
	Name  string `json:"interface"`
	Index int    `json:"index"`
	// Link is the backend's String: "bridge:br1".
	Link string `json:"link"`
	// HostName is the interface at the host's end; empty where there is none.
	HostName string `json:"host_interface,omitempty"`
	// MAC and MTU are those of the interface inside the guest.
	MAC MAC `json:"mac"`
	MTU int `json:"mtu"`
	// Addrs are all global addresses of the interface, Gateways those of its default
	// routes.
	Addrs    []netip.Prefix `json:"addresses"`
	Gateways []netip.Addr   `json:"gateways,omitempty"`
	// Lease is what the DHCP server granted; of a lease that was found, only the
	// address, the server and the time of expiry are known.
	Lease *dhcp.Lease `json:"lease,omitempty"`
	// Lease6 is what a DHCPv6 server granted; of a lease that was found, only what it
	// takes to give it back, and the addresses' lifetimes.
	Lease6 *dhcp.Lease `json:"lease6,omitempty"`
	// Displaced are the default routes that Detach puts back, as far as the guest still
	// allows; see [Attacher].Restored. The last of 32 may say how many more.
	Displaced []string `json:"displaced,omitempty"`
	// Saved are the default routes that interfaces of pipework's have displaced in the guest, and
	// that its root could delete where they are kept: sixteen at most, each whole as rtnetlink
	// tells it, in less than 513 bytes, but for what routers and leases brought; and before them
	// which network namespace they are of. It is for [Spec].Saved.
	Saved [][]byte `json:"-"`
	// Existed says that Attach found the interface already plugged in as asked;
	// Mended lists what it put right, or what Update changed; of one that was recreated, why.
	Existed bool     `json:"existed,omitempty"`
	Mended  []string `json:"mended,omitempty"`
	// Added are the addresses that Update or [Spec.Add] gave an interface that existed.
	Added []netip.Prefix `json:"added,omitempty"`
	// Pinned and Isolated say that it was asked to be so; only keep.Plugger.Listing fills them,
	// by its records.
	Pinned   bool `json:"pin,omitempty"`
	Isolated bool `json:"isolated,omitempty"`
	// Drifts lists what is not as it was asked for; only List and Check fill it.
	Drifts []string `json:"drifts,omitempty"`
	// Plan lists what would be done; only [Attacher.Plan] fills it. Empty: nothing.
	Plan []string `json:"plan,omitempty"`
	// Warnings are for people: what works less well than it should, and what to
	// do about it.
	Warnings []string `json:"warnings,omitempty"`
	// Namespace is the guest's network namespace; Attach and Update fill it, and List, but for
	// its Boot and NSID.
	Namespace *ns.Instance `json:"-"`
}

// A MAC is a hardware address that is text in JSON.
type MAC net.HardwareAddr

// String prints the address as net.HardwareAddr does.
func (m MAC) String() string { return net.HardwareAddr(m).String() }

// MarshalText writes the address with colons.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (m *MAC) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = nil
		return nil
	}
	mac, err := net.ParseMAC(string(text))
	*m = MAC(mac)
	return err
}

// An Attacher is where and how to work. The zero value works on the network
// namespace of the calling thread and says nothing. It may be used by several
// goroutines.
type Attacher struct {
	// Host is the namespace that bridges and NICs are in; nil stands for the
	// calling thread's. The Attacher does not close it.
	Host *ns.Handle
	// Find finds another guest that a Link names, such as the Peer of a link.Veth:
	// find.Target. nil finds those of the kinds netns, pid and path; others are
	// errors.ErrUnsupported.
	Find func(ns.Ref) Target
	// Log hears each stage at debug level, and as warnings what is left alone and what
	// Detach could not put back; nil is silence.
	Log *slog.Logger
	// Restored hears of each default route that Detach has put back, in text as in
	// Attachment.Displaced; of one that a router advertises, that it is learned again once
	// that is so. What could not be put back is a warning in Log. nil: nobody hears. Those of
	// a DetachAll may come at once.
	Restored func(guest ns.Identity, iface, route string)
	// Probe is how long Attach and Update look for other hosts that have an IPv4 address
	// of the interface, before they announce it (RFC 5227), and how long Check does; each
	// is a warning with its MAC. 0: Attach and Update tell those that answer meanwhile,
	// and Check sends nothing.
	Probe time.Duration
	// Collectors are what Collect and Orphans ask beside package link, such as an
	// *ovs.Client, for ports of Open vSwitch whose guest is gone.
	Collectors []link.Collector

	extra // for tests
}

// Attach plugs one interface into the guest. The same Attach again finds the
// interface, mends what drifted, and returns the same Attachment; a different
// Spec for an interface name that is in use is an error that satisfies
// fs.ErrExist and changes nothing (but see [Update] and [Spec.Add]). Attach returns
// once the interface is up, its addresses are announced and IPv6 duplicate address detection is over, which
// takes one to two seconds, and with DHCPv6 or SLAAC twice that, since the
// link-local address comes first; IPv4 alone takes about a millisecond, and a DHCP
// server as long as it takes (after eight seconds without an answer it is given
// up, with an error that satisfies os.ErrDeadlineExceeded). Where a spanning tree keeps
// the bridge's port from forwarding, addresses are announced, and servers asked, when it
// does: that is waited for up to forty seconds, and told as a warning. After an error
// everything is as it was, with one exception.
//
// That is an interface that only recreating puts right (see [link.Drift]): a pair whose other
// guest has another network namespace by now. Where the same Spec made it, and it has nothing
// beside, Attach removes it and makes it as the Spec says, with its MAC, and Mended tells why; from the
// first change on that is finished when ctx ends, for up to ten seconds. What fails after the
// removal leaves the guest without the interface, and the error says so. Where the Spec may
// not say all that it has, Attach refuses, with fs.ErrExist: Update, by a Spec that does,
// recreates it.
//
// Errors are of type *Error. Beside the Target's they satisfy fs.ErrInvalid (the
// Spec is wrong), fs.ErrExist, fs.ErrNotExist (no such bridge), fs.ErrPermission
// (which names what is needed), errors.ErrUnsupported (this kernel lacks it).
func Attach(ctx context.Context, t Target, s Spec) (*Attachment, error) {
	return new(Attacher).Attach(ctx, t, s)
}

// Update changes the interface s.Name, which Attach made, to what the Spec says, part by
// part: addresses, gateways, routes, rules, rates, leases, the MAC, the MTU, and settings of
// the link such as its VLAN. What is not in the Spec any more is removed, what is new is
// added, and what stays is not touched. It leaves alone what pipework did not make, such as
// a route that somebody added; but of addresses only those of the Spec and of its leases
// stay. Where the Spec says no MAC or no MTU, those stay as they are, as does what the
// kernel had from router advertisements.
//
// A lease that the Spec does not ask for any more is given back to its server, and its
// addresses, routes, MTU and name servers go. The name servers only where the Spec says
// which file they are in, as it does where it asks for a lease of the other family; where
// Spec.DHCP is nil, dhcp.WriteResolvConf without a lease puts that file back. A lease that
// stays is taken up again, and is what its server says now.
//
// The new comes before the old goes: there is a default route, and an address, all the
// time. Added are the addresses that are new, Mended all that was changed. After an error
// everything is as it was. An interface that only recreating puts right is recreated, as by
// Attach, with that exception.
//
// Errors are those of Attach; an interface that is not there satisfies fs.ErrNotExist, one
// that is plugged into something else fs.ErrInvalid, and one that pipework did not make
// fs.ErrPermission.
func Update(ctx context.Context, t Target, s Spec) (*Attachment, error) {
	return new(Attacher).Update(ctx, t, s)
}

// Detach unplugs the interface s.Name that Attach made, and puts back the
// default routes that it displaced. s.Link may be nil. A DHCP lease is given back
// to its server; who that is, is written on the interface. s.DHCP is only needed
// for its ResolvConf, for a ClientID of more than 32 bytes, and for a DUID that the
// mark on the interface has no room for. Where ctx ends before the first change, Detach
// stops; what has begun is finished, for up to ten seconds, and is no error then. An
// interface, process or
// container that is gone already is no error: found says whether the guest had the
// interface, and what was left of it on the host is removed in any case. An interface
// that pipework did not make is left alone, with an error that satisfies
// fs.ErrPermission.
func Detach(ctx context.Context, t Target, s Spec) (found bool, err error) {
	return new(Attacher).Detach(ctx, t, s)
}

// List tells what is plugged into the targets; without any, into every network
// namespace that a process or a name under /run/netns holds: then an error is of some of
// them, beside what was found in the others.
func List(ctx context.Context, targets ...Target) ([]*Attachment, error) {
	return new(Attacher).List(ctx, targets...)
}

// Check compares what is plugged in with the Spec, and lists each difference in
// Attachment.Drifts. It changes nothing. An interface that is not there is an
// error that satisfies fs.ErrNotExist.
func Check(ctx context.Context, t Target, s Spec) (*Attachment, error) {
	return new(Attacher).Check(ctx, t, s)
}

// Collect removes from the host what pipework made for guests that are gone:
// bridges and VLANs that nobody uses any more, IPoIB children that the kernel
// returned, and what a killed call left half-made. NICs of the host that were in
// a guest when it died become what they were. It returns what it did, and may be
// called at any time; what a living guest uses, or what does not bear pipework's
// mark, it leaves alone. Backends of other packages have a say by [Attacher].Collectors.
func Collect(ctx context.Context) ([]link.Collected, error) {
	return new(Attacher).Collect(ctx)
}

// Orphans returns what [Collect] would remove, or bring back, now.
func Orphans(ctx context.Context) ([]link.Collected, error) {
	return new(Attacher).Orphans(ctx)
}

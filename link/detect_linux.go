package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// Detect finds the backend for a name as the classic command line has it. A
// bridge of the host is a [Bridge]; an IPoIB interface an [IPoIB]; a device of Open
// vSwitch, or a tun or tap device, what ovs says; any other interface is the parent
// of a [Macvlan]. A name that nothing on the host bears is what ovs says, or else a
// Bridge to be made when it begins with br, one of Open vSwitch when it begins with
// ovs, and a [Dummy] when it begins with dummy. "mac:<address>" is the interface that
// has the address: the real one where VLANs, bridges or others share it.
// "bridge:<name>", "macvlan:<name>", "ipvlan:<name>", "vlan:<name>", "phys:<name>" and
// "ovs:<name>" say outright what it is, macvlan and ipvlan also with their mode, such as
// "macvlan/passthru:<name>"; "veth:<name>" is a [Veth] whose host's end is to be called so,
// and "veth:<guest>/<name>" one whose other end is to be called so in another guest.
//
// ovs is nil where Open vSwitch is not to be asked; otherwise it is asked only where
// the kernel cannot tell. Where it does not answer, nothing is guessed: that is an
// error, and the same call may succeed later. It does not satisfy fs.ErrNotExist.
//
// A name that matches nothing is an error that satisfies fs.ErrNotExist and lists
// what there is; an address that several interfaces have, or an unknown word before
// the colon, is fs.ErrInvalid.
func Detect(ctx context.Context, h Host, name string, ovs OVSLookup) (Backend, error) {
	if kind, rest, spelled := strings.Cut(name, ":"); spelled && kind != "mac" {
		return spelledOut(ctx, h, kind, rest, ovs)
	}
	l, err := lookUp(ctx, h, name)
	if errors.Is(err, fs.ErrNotExist) {
		return byName(ctx, h, name, ovs, err)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case l.Kind == "bridge":
		return Bridge{Name: l.Name}, nil
	case isIPoIB(l):
		return IPoIB{Parent: l.Name}, nil
	case l.Kind == "openvswitch", l.Kind == "tun":
		return ofSwitch(ctx, h, l, ovs)
	}
	return Macvlan{Parent: l.Name}, nil
}

// spelledOut is the backend of a kind that the user names.
func spelledOut(ctx context.Context, h Host, kind, name string, ovs OVSLookup) (Backend, error) {
	switch kind {
	case "ovs":
		return switchOnly(ctx, name, ovs)
	case "veth":
		if v, is := parsePeer(name); is {
			return v, nil
		}
		return Veth{HostName: name}, nil
	case "phys":
		return Phys{Device: name}, nil
	}
	base, mode, _ := strings.Cut(strings.Replace(kind, "-", "/", 1), "/") // with a dash as marks have it
	var macvlan MacvlanMode
	var ipvlan IpvlanMode
	var unknown error
	switch base {
	case "macvlan":
		unknown = macvlan.UnmarshalText([]byte(mode))
	case "ipvlan":
		unknown = ipvlan.UnmarshalText([]byte(mode))
	case "bridge", "vlan":
		if mode != "" {
			unknown = fs.ErrInvalid
		}
	default:
		unknown = fs.ErrInvalid
	}
	if unknown != nil {
		return nil, errs.New(fs.ErrInvalid, "%s:%s: a host interface is a name, mac:<address>, or a name after bridge:, macvlan:, macvlan/passthru:, ipvlan:, ipvlan/l3:, vlan:, veth:, phys: or ovs:", kind, name)
	}
	l, err := hostLink(ctx, h, name)
	switch {
	case err == nil && kind == "bridge":
		return Bridge{Name: l.Name}, nil
	case errors.Is(err, fs.ErrNotExist) && kind == "bridge":
		return Bridge{Name: name}, nil
	case err != nil:
		return nil, err
	case kind == "vlan":
		return VLAN{Parent: l.Name}, nil
	case base == "ipvlan":
		return Ipvlan{Parent: l.Name, Mode: ipvlan}, nil
	}
	return Macvlan{Parent: l.Name, Mode: macvlan}, nil
}

// ofSwitch is what a device is that may be the port of an Open vSwitch bridge: the
// port that bears a bridge's name is openvswitch in the kernel datapath, and tun in
// the userspace one.
func ofSwitch(ctx context.Context, h Host, l *rtnl.Link, ovs OVSLookup) (Backend, error) {
	b, err := ask(ctx, h, l.Name, "write macvlan:"+l.Name+" for a macvlan on it, or start Open vSwitch, which", ovs)
	switch {
	case err != nil || b != nil:
		return b, err
	case l.Kind == "tun":
		return Macvlan{Parent: l.Name}, nil
	}
	class := fs.ErrNotExist
	if ovs == nil {
		class = errors.ErrUnsupported
	}
	return nil, errs.New(class, "%s is a device of Open vSwitch, and no bridge that its database knows of: macvlan:%s makes a macvlan on it all the same", l.Name, l.Name)
}

// byName tells what something is that is not there.
func byName(ctx context.Context, h Host, name string, ovs OVSLookup, notFound error) (Backend, error) {
	if strings.HasPrefix(name, "ovs") {
		return switchOnly(ctx, name, ovs)
	}
	if strings.HasPrefix(name, "mac:") {
		//nolint:staticcheck // the classic wording, which scripts look for
		return nil, fmt.Errorf("I do not know how to setup interface %s. (%w)", name, notFound)
	}
	way := "start Open vSwitch, which"
	if creatable(name) {
		way = "write bridge:" + name + " for a Linux bridge, or " + way
	}
	if b, err := ask(ctx, h, name, way, ovs); err != nil || b != nil {
		return b, err
	}
	switch {
	case creatable(name):
		return Bridge{Name: name}, nil
	case strings.HasPrefix(name, "dummy"):
		return Dummy{}, nil
	}
	//nolint:staticcheck // the classic wording, which scripts look for
	return nil, fmt.Errorf("I do not know how to setup interface %s. (%w; a name that begins with br, ovs or dummy is made)", name, notFound)
}

// switchOnly is a bridge of Open vSwitch, to be made if need be.
func switchOnly(ctx context.Context, name string, ovs OVSLookup) (Backend, error) {
	if ovs == nil {
		return nil, errs.New(errors.ErrUnsupported, "%s would be a bridge of Open vSwitch, which is not there", name)
	}
	b, _, err := ovs(ctx, name)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// ask asks Open vSwitch for a bridge of this name; nil: there is none. The way is what its user
// may do where it does not answer.
func ask(ctx context.Context, h Host, name, way string, ovs OVSLookup) (Backend, error) {
	if ovs == nil {
		return nil, nil
	}
	b, exists, err := ovs(ctx, name)
	if err == nil && exists {
		return b, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		here, failed := hasDatapath(ctx, h)
		if failed != nil || !here {
			return nil, failed
		}
		err = errs.New(syscall.ECONNREFUSED, "%v", err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s may have a bridge %s, and does not answer (%w)", way, name, err)
	}
	return nil, nil
}

// hasDatapath says whether the host has a device that ovs-vswitchd makes for each of
// its datapaths: dpif-netlink's is called ovs-system, dpif-netdev's ovs-netdev
// (ofproto/ofproto-dpif.c, open_dpif_backer).
func hasDatapath(ctx context.Context, h Host) (bool, error) {
	for name, kind := range map[string]string{"ovs-system": "openvswitch", "ovs-netdev": "tun"} {
		l, err := rtnl.LinkByName(ctx, h.Conn, name)
		switch {
		case err == nil && l.Kind == kind:
			return true, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return false, err
		}
	}
	return false, nil
}

// lookUp finds the host's interface by name or by "mac:".
func lookUp(ctx context.Context, h Host, name string) (*rtnl.Link, error) {
	text, byMAC := strings.CutPrefix(name, "mac:")
	if !byMAC {
		return hostLink(ctx, h, name)
	}
	mac, err := net.ParseMAC(text)
	if err != nil {
		return nil, errs.New(fs.ErrInvalid, "%s: %w", name, err)
	}
	links, err := rtnl.Links(ctx, h.Conn)
	if err != nil {
		return nil, err
	}
	return byAddress(links, mac)
}

// byAddress chooses among the links that have the address.
func byAddress(links []*rtnl.Link, mac net.HardwareAddr) (*rtnl.Link, error) {
	var found, real []*rtnl.Link
	for _, l := range links {
		if l.MAC.String() == mac.String() {
			found = append(found, l)
		}
	}
	for _, l := range found {
		if !borrows(l, found) {
			real = append(real, l)
		}
	}
	switch {
	case len(real) == 1:
		return real[0], nil
	case len(found) == 0:
		return nil, errs.New(fs.ErrNotExist, "no interface of the host has the MAC %s: there are %s", mac, linkAddresses(links))
	}
	return nil, errs.New(fs.ErrInvalid, "several interfaces have the MAC %s: name one of %s", mac, linkNames(found))
}

// borrows says whether the link has its address from another one: from what it
// stands on, from a port of it, or from the bond that it is a port of. A port of
// Open vSwitch does not say whose it has.
func borrows(l *rtnl.Link, found []*rtnl.Link) bool {
	return slices.ContainsFunc(found, func(m *rtnl.Link) bool {
		bond := func(l *rtnl.Link) bool { return l.Kind == "bond" || l.Kind == "team" }
		return l.Parent == m.Index && !l.Foreign && l.Kind != "veth" ||
			m.Master == l.Index && !bond(l) ||
			l.Master == m.Index && bond(m) ||
			l.Kind == "openvswitch" && m.Kind != "openvswitch"
	})
}

func linkAddresses(links []*rtnl.Link) string {
	var list []string
	for _, l := range links {
		if _, ours := ParseMark(l.Alias); !ours && len(l.MAC) > 0 {
			list = append(list, l.Name+" "+l.MAC.String())
		}
	}
	slices.Sort(list)
	return strings.Join(list[:min(len(list), 20)], ", ")
}

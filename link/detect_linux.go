package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// Detect finds the backend for a name as the classic command line has it. A
// bridge of the host is a [Bridge] or what ovs says; an IPoIB interface an
// [IPoIB]; any other interface is the parent of a [Macvlan]. A name that nothing
// on the host bears is a Bridge to be made when it begins with br, what ovs says
// when it begins with ovs, and a [Dummy] when it begins with dummy.
// "mac:<address>" is the interface that has the address: the real one where
// VLANs, bridges or others share it.
//
// ovs is nil where there is no Open vSwitch; it is only asked when it can matter.
// A name that matches nothing is an error that satisfies fs.ErrNotExist and lists
// what there is; an address that several interfaces have is fs.ErrInvalid.
func Detect(ctx context.Context, h Host, name string, ovs OVSLookup) (Backend, error) {
	l, err := lookUp(ctx, h, name)
	if errors.Is(err, fs.ErrNotExist) {
		return byName(ctx, name, ovs, err)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case l.Kind == "bridge":
		return Bridge{Name: l.Name}, nil
	case isIPoIB(l):
		return IPoIB{Parent: l.Name}, nil
	}
	// The port that bears a bridge's name is openvswitch in the kernel datapath,
	// and tun in the userspace one.
	if ovs != nil && (l.Kind == "openvswitch" || l.Kind == "tun") {
		if b, exists, err := ovs(ctx, l.Name); err != nil || exists {
			return b, err
		}
	}
	return Macvlan{Parent: l.Name}, nil
}

// byName guesses from the name of something that is not there.
func byName(ctx context.Context, name string, ovs OVSLookup, notFound error) (Backend, error) {
	switch {
	case creatable(name):
		return Bridge{Name: name}, nil
	case strings.HasPrefix(name, "ovs") && ovs == nil:
		return nil, errs.New(errors.ErrUnsupported, "%s would be a bridge of Open vSwitch, which is not there", name)
	case strings.HasPrefix(name, "ovs"):
		b, _, err := ovs(ctx, name)
		return b, err
	case strings.HasPrefix(name, "dummy"):
		return Dummy{}, nil
	}
	//nolint:staticcheck // the classic wording, which scripts look for
	return nil, fmt.Errorf("I do not know how to setup interface %s. (%w; a name that begins with br, ovs or dummy is made)", name, notFound)
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

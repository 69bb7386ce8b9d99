package link

import (
	"errors"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
)

// FromMark is the backend that a mark names, with default settings: enough for
// Check and Unplug. Backends of other packages are errors.ErrUnsupported.
func FromMark(m Mark) (Backend, error) {
	kind, name, _ := strings.Cut(m.Link, ":")
	kind, mode, _ := strings.Cut(kind, "-")
	on := parseParent(name)
	switch kind {
	case "bridge":
		return Bridge{Name: name, Firewall: FirewallLeave}, nil
	case "macvlan":
		b := Macvlan{Parent: on.name, VLAN: on.vlan}
		return b, b.Mode.UnmarshalText([]byte(mode))
	case "ipvlan":
		b := Ipvlan{Parent: on.name, VLAN: on.vlan}
		return b, b.Mode.UnmarshalText([]byte(mode))
	case "vlan":
		return VLAN{Parent: on.name, VLAN: on.vlan}, nil
	case "veth":
		if _, is := parsePeer(name); is {
			return pairByMark(m.Link), nil
		}
		return Veth{HostName: name}, nil
	case "dummy":
		return Dummy{}, nil
	case Unmarked:
		return unmarked{}, nil
	case "phys":
		return Phys{Device: name}, nil
	case "ipoib":
		return parseIPoIB(name), nil
	}
	return nil, errs.New(errors.ErrUnsupported, "plugged into %s, which is no backend of package link: give Spec.Link", m.Link)
}

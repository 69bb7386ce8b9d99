package keep

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
)

// spec finds the backend that a wish means just now, and whether it is permitted.
func (r *run) spec(ctx context.Context, g *guest, w *wish) (pipework.Spec, error) {
	b, err := r.linkOf(ctx, w)
	if err != nil {
		return pipework.Spec{}, err
	}
	spec, err := w.line.Spec(b, w.flags)
	if err != nil {
		return spec, err
	}
	if w.declared {
		if err := r.Declarations.Allow.Check(spec.Link, w.line.Interface); err != nil {
			return spec, err
		}
	}
	past, err := r.tool.past(w.record.Guest, w.record.Interface)
	if err == nil {
		err = past.sameKind(w.line, spec.Link)
	}
	if err != nil {
		return spec, err
	}
	if spec.MAC == nil {
		spec.DefaultMAC = r.mac(g, w)
	}
	return spec, nil
}

// linkOf is what the host interface of a wish means. A NIC that is to move into the
// guest is nothing else, and may be in the guest already, or not back yet.
func (r *run) linkOf(ctx context.Context, w *wish) (link.Backend, error) {
	word := w.line.Interface
	if !w.line.DirectPhys {
		return r.Detect(ctx, word, r.tool.OVS.Lookup)
	}
	if !strings.HasPrefix(word, "mac:") {
		word = "macvlan:" + word // an interface that is there, of whatever kind
	}
	b, err := r.Detect(ctx, word, nil)
	if nic := w.nic(); nic != "" && errors.Is(err, fs.ErrNotExist) {
		r.collectNow(ctx)
		return link.Phys{Device: nic}, nil
	}
	return b, err
}

// nic is the name of the NIC that is to move into the guest, as far as it is known
// while the host does not have it; "" for other interfaces.
func (w *wish) nic() string {
	switch {
	case !w.line.DirectPhys, w.line.VLAN != "": // a VLAN of a NIC leaves that on the host
		return ""
	case !strings.HasPrefix(w.line.Interface, "mac:"):
		return w.line.Interface
	case w.record.Attachment == nil:
		return ""
	}
	device, is := strings.CutPrefix(w.record.Attachment.Link, "phys:")
	if !is {
		return ""
	}
	return device
}

// mac is the address that the interface had before, or else one that is the same
// for the same machine, name of the guest, and interface: so that a container that
// restarts, or is made anew under its name, keeps its lease and its neighbours.
func (r *run) mac(g *guest, w *wish) net.HardwareAddr {
	if at := w.record.Attachment; at != nil && len(at.MAC) == 6 && !w.declared {
		return net.HardwareAddr(at.MAC)
	}
	return StableMAC(r.Machine, g.name, w.line.Name)
}

// StableMAC is the address that a Watcher gives an interface that no MAC is
// declared for: 02, which is locally administered, and five bytes of a hash of the
// machine, the guest's name and the interface's. A machine is told from another by
// /etc/machine-id: containers of the same name on two machines of one network
// must not have the same.
func StableMAC(machine, guest, iface string) net.HardwareAddr {
	sum := sha256.Sum256(fmt.Appendf(nil, "pipework\x00%s\x00%s\x00%s", strings.TrimSpace(machine), guest, iface))
	return append(net.HardwareAddr{0x02}, sum[:5]...)
}

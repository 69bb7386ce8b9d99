package watch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// find is what a wish means just now, where that is permitted.
func (r *run) find(ctx context.Context, g *guest, w *wish) (keep.Declared, error) {
	tool := r.tool
	tool.Target = func(ns.Ref) pipework.Target { return r.target(g.ref) }
	d, err := w.find(ctx, &tool)
	if err != nil {
		return d, err
	}
	if w.declared {
		if err := r.Declarations.Allow.Check(d.Spec.Link, w.word); err != nil {
			return d, err
		}
		if err := r.tool.CheckKind(w.record.Guest, w.record.Interface, d); err != nil {
			return d, err
		}
	}
	return d, r.findNIC(ctx, d)
}

// findNIC looks whether the host has the NIC that is to move into the guest. Where it
// does not, the NIC may be in the guest already, or not back yet from a dead one.
func (r *run) findNIC(ctx context.Context, d keep.Declared) error {
	nic, is := d.Spec.Link.(link.Phys)
	if !is {
		return nil
	}
	_, err := r.Detect(ctx, "macvlan:"+nic.Device, nil) // an interface that is there, of whatever kind
	if errors.Is(err, fs.ErrNotExist) {
		r.collectNow(ctx)
		return nil
	}
	return err
}

// mac is the address that the interface had before, or else the declared default, or one that is the same
// for the same machine, name of the guest, and interface: so that a container that
// restarts, or is made anew under its name, keeps its lease and its neighbours.
func (r *run) mac(g *guest, w *wish, d keep.Declared) net.HardwareAddr {
	if at := w.record.Attachment; at != nil && len(at.MAC) == 6 && !w.declared {
		return net.HardwareAddr(at.MAC)
	}
	if d.Spec.DefaultMAC != nil {
		return d.Spec.DefaultMAC
	}
	return StableMAC(r.Machine, g.name, w.record.Interface)
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

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
)

// resolve is what is declared as the host has it just now, where that is permitted.
func (a *attacher) resolve(ctx context.Context, g *guest, want *desired) (keep.Declared, error) {
	d, err := want.resolve(ctx, a.pluggerOf(g))
	if err != nil {
		return d, err
	}
	if want.byContainer {
		if d.Spec, _, err = a.permits.Permit(want.who, d.Spec, want.word); err != nil {
			return d, err
		}
		if err := a.plugger.CheckKind(want.record.Guest, want.record.Interface, d); err != nil {
			return d, err
		}
	}
	return d, a.findNIC(ctx, d)
}

// findNIC looks whether the host has the NIC that is to move into the guest. Where it
// does not, the NIC may be in the guest already, or not back yet from a dead one.
func (a *attacher) findNIC(ctx context.Context, d keep.Declared) error {
	nic, is := d.Spec.Link.(link.Phys)
	if !is {
		return nil
	}
	_, err := a.plugger.Detect(ctx, "macvlan:"+nic.Device, nil) // an interface that is there, of whatever kind
	if errors.Is(err, fs.ErrNotExist) {
		a.cleanup.collectNICs(ctx)
		return nil
	}
	return err
}

// spec is the Spec that attaches what is declared. An interface that is there, and was
// added to, keeps what it has.
func (a *attacher) spec(g *guest, want *desired, d keep.Declared) pipework.Spec {
	s := d.Spec
	s.Name, s.Add, s.Beneath = want.record.Interface, true, want.above(g.desired)
	if s.MAC == nil {
		s.DefaultMAC = mac(a.machine, g.name, want, d)
	}
	return s
}

// mac is the address that the interface had before, or else the declared default, or one
// that is the same for the same machine, name of the guest, and interface: so that a
// container that restarts, or is recreated under its name, keeps its lease and its
// neighbours.
func mac(machine, guest string, want *desired, d keep.Declared) net.HardwareAddr {
	if was := want.record.Attachment; was != nil && len(was.MAC) == 6 && !want.byContainer {
		return net.HardwareAddr(was.MAC)
	}
	if d.Spec.DefaultMAC != nil {
		return d.Spec.DefaultMAC
	}
	return stableMAC(machine, guest, want.record.Interface)
}

// stableMAC is the address that a Watcher gives an interface that no MAC is
// declared for: 02, which is locally administered, and five bytes of a hash of the
// machine, the guest's name and the interface's. A machine is told from another by
// /etc/machine-id: containers of the same name on two machines of one network
// must not have the same.
func stableMAC(machine, guest, iface string) net.HardwareAddr {
	sum := sha256.Sum256(fmt.Appendf(nil, "pipework\x00%s\x00%s\x00%s", strings.TrimSpace(machine), guest, iface))
	return append(net.HardwareAddr{0x02}, sum[:5]...)
}

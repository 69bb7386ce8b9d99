package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// Plug makes the child; see [Backend].
func (i IPoIB) Plug(ctx context.Context, p *Port, u *Undo) error {
	lower, err := i.find(ctx, p.Host)
	if err != nil {
		return err
	}
	if err := i.removeOrphans(ctx, p.Host, lower); err != nil {
		return err
	}
	if !lower.Up {
		if err := free(ctx, p); err != nil {
			return err
		}
		u.Push("up "+lower.Name, func(ctx context.Context) error { return rtnl.SetDown(ctx, p.Host.Conn, lower.Index) })
		if err := rtnl.SetLink(ctx, p.Host.Conn, lower.Name, ""); err != nil {
			return err
		}
	}
	n := newLink{kind: "ipoib", config: "CONFIG_INFINIBAND_IPOIB", parent: lower.Index}
	if i.PKey != 0 {
		n.option = rtnl.Option{Type: nl.IFLA_IPOIB_PKEY, Value: nl.Uint16Attr(i.key())}
	}
	mtu := p.MTU
	p.MTU = 0
	err = n.plug(ctx, p, u)
	if p.MTU = mtu; err != nil {
		return err
	}
	if err := setBirthMTU(ctx, p); err != nil {
		return err
	}
	if i.PKey != 0 && !inKeyTable(i.Parent, i.key()) {
		p.Warn("partition key %04x is not in the key table of %s's port: there is no carrier until the subnet manager adds it", i.key(), i.Parent)
	}
	return nil
}

// Foretell is what Plug would refuse; see [Foreteller].
func (i IPoIB) Foretell(ctx context.Context, p *Port) (makes []string, err error) {
	_, err = i.find(ctx, p.Host)
	return nil, err
}

// setBirthMTU sets the MTU of a child that was just made. One that it is born with does not
// last: when it joins its multicast group, the driver takes the least of the group's and
// of the one that was set (ipoib_change_mtu in drivers/infiniband/ulp/ipoib).
func setBirthMTU(ctx context.Context, p *Port) error {
	if p.MTU == 0 {
		return nil
	}
	l, err := rtnl.LinkByName(ctx, p.Conn, p.Name)
	if err != nil {
		return err
	}
	if err := rtnl.SetMTU(ctx, p.Conn, l.Index, p.MTU); err != nil {
		return fmt.Errorf("set the MTU of %s to %d: %w", p.Name, p.MTU, err)
	}
	return nil
}

// find finds the parent.
func (i IPoIB) find(ctx context.Context, h Host) (*rtnl.Link, error) {
	l, err := hostLink(ctx, h, i.Parent)
	if err == nil && !isIPoIB(l) {
		return nil, errs.New(fs.ErrInvalid, "%s is no IPoIB interface but %s", l.Name, kindOf(l))
	}
	return l, err
}

// infinibandLen is INFINIBAND_ALEN of linux/if_infiniband.h.
const infinibandLen = 20

// isIPoIB says whether ib_ipoib drives the interface. The device type alone does
// not: anybody may give it to a tun device, and a kernel that is told to make a
// child of that crashes. A tun device has the kind tun; ports of adapters have
// the kind ipoib too, and none before Linux 4.19.
func isIPoIB(l *rtnl.Link) bool {
	return l.Type == unix.ARPHRD_INFINIBAND && len(l.MAC) == infinibandLen && (l.Kind == "ipoib" || l.Kind == "")
}

// parentIndex is the index of a child's parent on the host. The kernel leaves it
// out where it is the same number as the child's own in the guest, which only
// drivers with get_link_net prevent.
func parentIndex(l *rtnl.Link) int {
	if l.Parent == 0 {
		return l.Index
	}
	return l.Parent
}

// Check finds the interface, its parent and its partition key; see [Backend].
func (i IPoIB) Check(ctx context.Context, p *Port) ([]Drift, error) {
	l, err := checkKind(ctx, p, "ipoib")
	if err != nil {
		return nil, err
	}
	lower, err := i.find(ctx, p.Host)
	if err != nil {
		return nil, err
	}
	key := rtnl.Attr(l.Data, nl.IFLA_IPOIB_PKEY)
	if parentIndex(l) != lower.Index || i.PKey != 0 && !bytes.Equal(key, nl.Uint16Attr(i.key())) {
		return nil, errs.New(fs.ErrInvalid, "%s in %s is not a child of %s with this partition key: detach it first", p.Name, p.Guest.Name, lower.Name)
	}
	return raised(p, lower), nil
}

// Unplug removes the child; see [Backend]. After a guest that is gone it removes
// all that came back to the host from dead guests.
func (i IPoIB) Unplug(ctx context.Context, p *Port) error {
	if p.Conn != nil {
		return unplugLink(ctx, p)
	}
	lower, err := rtnl.LinkByName(ctx, p.Host.Conn, i.Parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return i.removeOrphans(ctx, p.Host, lower)
}

// removeOrphans removes the children of lower whose guests are gone.
func (i IPoIB) removeOrphans(ctx context.Context, h Host, lower *rtnl.Link) error {
	c := collect(ctx, h)
	return c.orphans(ctx, "ipoib", func(l *rtnl.Link) bool { return isOrphan(l) && l.Parent == lower.Index })
}

// inKeyTable says whether the port of the interface has the partition key, full
// or limited member, as far as sysfs tells: of the interface's own adapter, or
// where that is not told, of any.
func inKeyTable(name string, key uint16) bool {
	files := keyFiles(name)
	for _, file := range files {
		text, err := os.ReadFile(file)
		have, bad := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(string(text)), "0x"), 16, 16)
		if err == nil && bad == nil && uint16(have)|fullMember == key {
			return true
		}
	}
	return len(files) == 0
}

func keyFiles(name string) []string {
	net := "/sys/class/net/" + name
	text, _ := os.ReadFile(net + "/dev_port") // counts from 0
	port, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	files, _ := filepath.Glob(fmt.Sprintf("%s/device/infiniband/*/ports/%d/pkeys/*", net, port+1))
	if len(files) == 0 {
		files, _ = filepath.Glob("/sys/class/infiniband/*/ports/*/pkeys/*")
	}
	return files
}

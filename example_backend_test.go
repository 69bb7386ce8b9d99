//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// A NestedBridge is a backend of one's own: a bridge in the guest itself, for guests
// within it. pipework sees to its name, MTU and addresses, to routes, and to undoing.
type NestedBridge struct{}

func (NestedBridge) String() string { return "nested" }

// Plug makes the bridge. The mark says that it is pipework's to remove.
func (b NestedBridge) Plug(ctx context.Context, p *link.Port, u *link.Undo) error {
	h, err := p.Guest.Netlink(ctx)
	if err != nil {
		return err
	}
	defer h.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.MTU = p.Name, p.MAC, p.MTU
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := h.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make bridge %s: %w", p.Name, err) // EEXIST satisfies fs.ErrExist
	}
	u.Push("bridge "+p.Name, func(ctx context.Context) error { return b.Unplug(ctx, p) })
	return h.LinkSetAlias(bridge, p.Mark.String())
}

// Check has nothing to compare: there is no end on the host.
func (NestedBridge) Check(context.Context, *link.Port) ([]link.Drift, error) { return nil, nil }

// Unplug removes the bridge. What is gone already is no error.
func (NestedBridge) Unplug(ctx context.Context, p *link.Port) error {
	if p.Guest == nil {
		return nil // and the bridge with it
	}
	h, err := p.Guest.Netlink(ctx)
	if err != nil {
		return err
	}
	defer h.Close()
	bridge, err := h.LinkByName(p.Name)
	if _, gone := errors.AsType[netlink.LinkNotFoundError](err); gone {
		return nil
	}
	if err != nil {
		return err
	}
	return h.LinkDel(bridge)
}

// A backend of one's own is used like any other.
func ExampleAttach_backend() {
	at, err := pipework.Attach(context.Background(), ns.Named("web"), pipework.Spec{
		Name: "br0", Link: NestedBridge{}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(at.Name, at.Link) // br0 nested
}

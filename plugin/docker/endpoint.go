package docker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/plugin"
)

// An endpoint is what a note keeps of one, from the message that creates it to the one that
// deletes it.
type endpoint struct {
	ID      string `json:"id"`
	Network string `json:"network"`
	// Spec is that of the interface in the container, but for the name, which Docker chooses.
	Spec spec `json:"spec"`
	// Resolv has the name servers of the lease written into the container's resolv.conf.
	Resolv bool `json:"resolv,omitempty"`
	// DstName is the name that the interface was asked to have in the container; "": any.
	DstName string `json:"name,omitempty"`
	// Gateways are those that Docker is told.
	Gateways []netip.Addr `json:"gateways,omitempty"`
	// Sandbox is the file of the container's namespace, once that was told.
	Sandbox string `json:"sandbox,omitempty"`
	// Guest and Interface are what it is in the container, once it is there.
	Guest     ns.Ref `json:"guest,omitzero"`
	Interface string `json:"interface,omitempty"`
}

// A spec is one whose links may be of all kinds.
type spec struct{ pipework.Spec }

func (s *spec) UnmarshalJSON(b []byte) (err error) {
	s.Spec, err = config.ParseSpec(b, plugin.Kinds()...)
	return err
}

const endpointKind = "docker-endpoint"

func endpointNote(id string) keep.Note { return keep.Note{Kind: endpointKind, Of: id} }

// endpoint reads its note; without one the error satisfies fs.ErrNotExist.
func (d *Driver) endpoint(id string) (*endpoint, error) {
	e := new(endpoint)
	if err := d.get(endpointNote(id), e); err != nil {
		return nil, err
	}
	e.Guest.ID = e.Sandbox
	return e, nil
}

func (d *Driver) keep(e *endpoint) error { return d.put(endpointNote(e.ID), e) }

// src is what the interface is called until Docker renames it.
func (e *endpoint) src() string { return fmt.Sprintf("pw%.8s", e.ID) }

// waiting is the guest that the endpoint is before it is in a container.
func (e *endpoint) waiting() ns.Ref {
	return ns.Ref{Kind: ns.DockerNetwork, Name: short(e.Network) + "/" + short(e.ID)}
}

// inRoom is the endpoint's Spec as long as it is in its room: without the addresses that Docker
// sets in the container, which are to be nowhere else, unless a pin has to know them.
func (e *endpoint) inRoom() pipework.Spec {
	s := e.Spec.Spec
	s.Name, s.Routes, s.Rules, s.Gateways = e.src(), nil, nil, nil
	if !s.Pin {
		s.Addrs = nil
	}
	s.DHCP = withResolv(s.DHCP, "")
	return s
}

// withResolv is the configuration with another resolv.conf.
func withResolv(asked *dhcp.Config, path string) *dhcp.Config {
	if asked == nil {
		return nil
	}
	c := *asked
	c.ResolvConf = path
	return &c
}

// createEndpoint makes the interface, with its lease, in a room of its own.
func (d *Driver) createEndpoint(ctx context.Context, m *endpointMessage) (_ any, err error) {
	n, err := d.network(m.NetworkID)
	if err != nil {
		return nil, err
	}
	o, err := n.Options.with(texts(m.Options))
	if err != nil {
		return nil, err
	}
	asked := addresses{}
	if m.Interface != nil {
		asked = *m.Interface
	}
	e := &endpoint{ID: m.EndpointID, Network: n.ID, Resolv: on(o["resolv"]), DstName: o[keyName], Gateways: n.Gateways}
	if e.Spec.Spec, err = d.specOf(ctx, n, o, asked); err != nil {
		return nil, err
	}
	t := d.message(e.ID)
	defer t.Unlock()
	if was, err := d.endpoint(e.ID); err == nil { // Docker asks again where this process has died
		if err := d.remove(ctx, t, was); err != nil {
			return nil, err
		}
	}
	if err := d.keep(e); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errs.Join(err, d.remove(context.WithoutCancel(ctx), t, e))
		}
	}()
	at, err := rooms{d}.makeInRoom(ctx, e)
	if err != nil {
		return nil, err
	}
	e.learn(n, at)
	if err := d.keep(e); err != nil {
		return nil, err
	}
	d.tellLease(e, at)
	return created{e.chosen(asked, at)}, nil
}

// specOf is what the endpoint is to be in the container.
func (d *Driver) specOf(ctx context.Context, n *network, o options, asked addresses) (s pipework.Spec, err error) {
	found, err := d.declared(ctx, o)
	if err != nil {
		return s, err
	}
	s = found.Spec
	for _, text := range []string{asked.Address, asked.AddressIPv6} {
		if text == "" {
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return s, err
		}
		s.Addrs = append(s.Addrs, p)
	}
	if len(s.Addrs) > 0 && o.dynamic() {
		return s, fmt.Errorf("address=%s and %v contradict each other: leave one out", o["address"], s.Addrs)
	}
	if mac := cmp.Or(asked.MacAddress, o["mac"]); mac != "" {
		s.MAC, err = net.ParseMAC(mac)
	} else {
		s.DefaultMAC = d.defaultMAC(ctx, n, s.Addrs)
	}
	return s, err
}

// defaultMAC is the same for a container that is recreated: it is made of the address that Docker
// gave it, or else of the container's name, where that is known. nil: it is any.
func (d *Driver) defaultMAC(ctx context.Context, n *network, addrs []netip.Prefix) net.HardwareAddr {
	text := ""
	if len(addrs) > 0 {
		text = addrs[0].Addr().String()
	} else if text = d.starting(ctx, n.ID); text == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(n.ID + "/" + text))
	return append(net.HardwareAddr{2}, sum[:5]...)
}

// room is where the endpoint's namespace is.
func (d rooms) room(e *endpoint) string {
	return filepath.Join(cmp.Or(d.Rooms, DefaultRooms), short(e.ID))
}

// A waitingRoom is a room as a guest, which bears the endpoint's name.
type waitingRoom struct {
	ns.Path
	name string
}

// Open opens the namespace.
func (r waitingRoom) Open(ctx context.Context) (*ns.Guest, error) {
	g, err := r.Path.Open(ctx)
	if err == nil {
		g.Identity = ns.Identity{Name: r.name}
	}
	return g, err
}

func (d rooms) roomTarget(e *endpoint) ns.Target {
	return waitingRoom{ns.Path(d.room(e)), e.waiting().String()}
}

// inRoom is the Plugger for rooms, of which there are no records.
func (d rooms) inRoom(e *endpoint) *keep.Plugger {
	p := d.Plugger
	p.Store = nil
	p.Target = func(ns.Ref) pipework.Target { return d.roomTarget(e) }
	return &p
}

// makeInRoom makes the room, and the interface in it.
func (d rooms) makeInRoom(ctx context.Context, e *endpoint) (*pipework.Attachment, error) {
	if err := makeRoom(d.room(e)); err != nil {
		return nil, err
	}
	at, _, err := d.inRoom(e).Attach(ctx, e.waiting(), keep.Declared{Spec: e.inRoom()})
	return at, err
}

// learn takes what is only known once the interface is there.
func (e *endpoint) learn(n *network, at *pipework.Attachment) {
	e.Spec.MAC = net.HardwareAddr(at.MAC)
	if fixed, is := e.Spec.Link.(link.FixedMAC); is && fixed.FixedMAC() != "" {
		e.Spec.MAC = nil
	}
	if at.Lease != nil && !n.Internal {
		if gw := at.Lease.Gateway(); gw.IsValid() {
			e.Gateways = []netip.Addr{gw}
		}
	}
}

// chosen are the addresses that Docker did not choose.
func (e *endpoint) chosen(asked addresses, at *pipework.Attachment) (told addresses) {
	if asked.MacAddress == "" && e.Spec.MAC != nil {
		told.MacAddress = e.Spec.MAC.String()
	}
	if e.Spec.DHCP == nil && !e.Spec.SLAAC {
		return told
	}
	for _, p := range at.Addrs {
		switch {
		case p.Addr().Is4() && told.Address == "":
			told.Address = p.String()
		case p.Addr().Is6() && told.AddressIPv6 == "":
			told.AddressIPv6 = p.String()
		}
	}
	return told
}

// tellLease tells what a lease brought.
func (d *Driver) tellLease(e *endpoint, at *pipework.Attachment) {
	for _, l := range []*dhcp.Lease{at.Lease, at.Lease6} {
		if l != nil {
			d.Log.Info("lease", "endpoint", short(e.ID), "address", l.Addr, "until", l.Expires, "dns", l.DNS, "search", l.Search)
		}
	}
	for _, text := range at.Warnings {
		d.Log.Warn(text, "endpoint", short(e.ID))
	}
}

// deleteEndpoint takes away what is left of it.
func (d *Driver) deleteEndpoint(ctx context.Context, m *endpointMessage) (any, error) {
	t := d.message(m.EndpointID)
	defer t.Unlock()
	e, err := d.endpoint(m.EndpointID)
	if errors.Is(err, fs.ErrNotExist) {
		return nothing{}, nil
	}
	if err != nil {
		return nil, err
	}
	return nothing{}, d.remove(ctx, t, e)
}

// info is what `docker network inspect` may show of it.
func (d *Driver) info(_ context.Context, m *endpointMessage) (any, error) {
	value := map[string]string{}
	if e, err := d.endpoint(m.EndpointID); err == nil && e.Spec.Link != nil {
		value["link"] = e.Spec.Link.String()
	}
	return map[string]any{"Value": value}, nil
}

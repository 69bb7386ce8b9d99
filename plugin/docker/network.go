package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/keep"
)

// A network is what a note keeps of it: Docker tells of a network once, when it is created.
type network struct {
	ID      string    `json:"id"`
	Options options   `json:"options"`
	Created time.Time `json:"created"`
	// Internal says that its containers get no default route by it.
	Internal bool `json:"internal,omitempty"`
	// Gateways of the subnets, at most one of each family.
	Gateways []netip.Addr `json:"gateways,omitempty"`
}

const networkKind = "docker-network"

func networkNote(id string) keep.Note { return keep.Note{Kind: networkKind, Of: id} }

// createNetwork keeps what the network is to be. Nothing is made on the host before a container
// is on it.
func (d *Driver) createNetwork(ctx context.Context, m *networkMessage) (any, error) {
	n := network{ID: m.NetworkID, Created: time.Now(), Options: generic(m), Internal: m.Options[keyInternal] == true}
	for _, k := range append(ofEndpoint, keyName) {
		if _, is := n.Options[k]; is {
			return nil, fmt.Errorf("%s is an option of a container on a network: docker run --network name=N,driver-opt=%[1]s=%s", k, n.Options[k])
		}
	}
	if _, err := d.declared(ctx, n.Options); err != nil {
		return nil, err
	}
	pools := append(append([]pool{}, m.IPv4Data...), m.IPv6Data...)
	for _, p := range pools {
		if n.Options.dynamic() && !isNull(p.Pool) {
			return nil, fmt.Errorf("address=%s and the subnet %s contradict each other: add --ipam-driver null, or leave the address to Docker", n.Options["address"], p.Pool)
		}
		if gw, err := netip.ParsePrefix(p.Gateway); err == nil && !n.Internal {
			n.Gateways = append(n.Gateways, gw.Addr())
		}
	}
	return nothing{}, d.put(networkNote(n.ID), n)
}

// isNull says whether this is the pool of Docker's IPAM driver null.
func isNull(pool string) bool { return pool == "" || strings.HasSuffix(pool, "/0") }

func (d *Driver) deleteNetwork(_ context.Context, m *networkMessage) (any, error) {
	return nothing{}, d.Store.DeleteNote(networkNote(m.NetworkID))
}

// network reads its note.
func (d *Driver) network(id string) (*network, error) {
	n := new(network)
	err := d.get(networkNote(id), n)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.New(fs.ErrNotExist, "the network %s is not known here: its note in %s is gone: create it again", short(id), d.Store.Dir())
	}
	return n, err
}

// put writes a note.
func (d *Driver) put(n keep.Note, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return d.Store.PutNote(n, b)
}

// get reads a note.
func (d *Driver) get(n keep.Note, v any) error {
	b, err := d.Store.Note(n)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// short is as much of an ID as Docker prints.
func short(id string) string { return id[:min(len(id), 12)] }

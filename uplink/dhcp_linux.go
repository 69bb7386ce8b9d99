package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/dhcp"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// This file takes the lease of the NIC's DHCP client over. The client is stopped, not ended: it
// neither gives the lease back nor takes the address away, nothing starts it again, and an undo has
// it go on, but for dhcpcd, which is ended then.

// A dhcpClient is a program that looks after the NIC.
type dhcpClient struct {
	Name string          `json:"name"`
	All  []clientProcess `json:"processes"` // dhcpcd has several
}

// A takenLease is a lease that was a client's.
type takenLease struct {
	Client dhcpClient  `json:"client"`
	Lease  *dhcp.Lease `json:"lease"`
	// ClientID is what the client sent; empty: nothing, and the server goes by the MAC.
	ClientID []byte `json:"client_id"`
	// Forever says that the client gave the address no end, and watches over that itself.
	Forever bool `json:"forever,omitempty"`
}

// valid says what keeps a record's from being used; t may be nil.
func (t *takenLease) valid() error {
	if t == nil {
		return nil
	}
	if t.Lease == nil || !t.Lease.Addr.Addr().Is4() || len(t.Client.All) == 0 {
		return errors.New("it has no lease, or no client of that")
	}
	for _, p := range t.Client.All {
		if p.PID <= 0 {
			return fmt.Errorf("no process has the number %d", p.PID)
		}
	}
	return nil
}

// config is how to ask for it.
func (t *takenLease) config() dhcp.Config {
	return dhcp.Config{ClientID: append([]byte{}, t.ClientID...)}
}

// clientNames are the clients whose leases can be taken over.
var clientNames = []string{"dhclient", "dhcpcd", "udhcpc"}

// findClient is the client that looks after the NIC; nil: none does.
func (j leaser) findClient(ctx context.Context, nic *rtnl.Link) (found *dhcpClient, err error) {
	all, err := rtnl.Links(ctx, j.host.Conn)
	if err != nil {
		return nil, err
	}
	var others []string
	err = j.do(ctx, func() error {
		here, err := os.Readlink("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		for _, pid := range process.All() {
			comm := strings.TrimSpace(string(readSome(fmt.Sprintf("/proc/%d/comm", pid))))
			where, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
			if err != nil || where != here || !slices.Contains(clientNames, comm) || !byClient(ctx, nic, pid) {
				continue
			}
			started, err := process.Started(pid)
			if err != nil {
				continue // it has ended
			}
			if found == nil {
				found = &dhcpClient{Name: comm}
			}
			if comm == found.Name {
				found.All = append(found.All, clientProcess{pid, started})
			}
			for _, l := range all {
				if l.Index != nic.Index && l.Type != unix.ARPHRD_LOOPBACK && byClient(ctx, l, pid) {
					others = append(others, l.Name)
				}
			}
		}
		if found != nil && found.Name == dhcpcd {
			return found.helpers(here)
		}
		return nil
	})
	if err == nil && len(others) > 0 {
		err = errs.New(fs.ErrInvalid, "%s looks after %s, too, and would not go on there: have one run for each interface, or have it leave %s alone", found.Name, others[0], nic.Name)
	}
	return found, err
}

// dhcpcd has a process for each task. What it is told of a NIC that leaves a bridge it takes for the NIC's
// end: it would take the addresses away.
const dhcpcd = "dhcpcd"

// rebindTries is how often a server is asked: after a quarter, and half, of a second.
const rebindTries = 3

// takeLease finds the client's lease, and extends it as the client would: no server gives a second
// one. Nothing is changed on the host.
func (j leaser) takeLease(ctx context.Context, nic *rtnl.Link) (*takenLease, error) {
	client, err := j.leasing(ctx, nic)
	if err != nil {
		return nil, err
	}
	leased, ids := client.lease(nic)
	leased, forever, err := j.leased(ctx, nic, leased)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, id := range ids {
		if err := fault.Step(ctx, "take lease over"); err != nil {
			return nil, err
		}
		t := &takenLease{Client: *client, ClientID: id}
		c := dhcp.Client{Guest: j.host.Handle, Name: nic.Name, Index: nic.Index, MAC: nic.MAC, Config: t.config()}
		c.Tries = rebindTries
		t.Lease, err = c.Rebind(ctx, &dhcp.Lease{Addr: leased, ClientID: id})
		if err == nil && t.Lease.Addr.Addr() == leased.Addr() {
			t.Forever = forever
			return t, nil
		}
		if err == nil {
			err = fmt.Errorf("the server gave %s", t.Lease.Addr)
		}
		failed = err
	}
	return nil, fmt.Errorf("take over the lease of %s by %s: %w", leased.Addr(), client.Name, failed)
}

// leasing is the client whose lease is to be taken over, or why it cannot be.
func (j leaser) leasing(ctx context.Context, nic *rtnl.Link) (*dhcpClient, error) {
	if j.isShim() {
		return nil, errs.New(errors.ErrUnsupported, "%s has another MAC than %s, by which servers know the lease: give it an address of its own, or use a bridge", j.Bridge, j.NIC)
	}
	client, err := j.findClient(ctx, nic)
	if err != nil {
		return nil, err
	}
	if client == nil {
		return nil, errs.New(fs.ErrNotExist, "none of %s looks after %s: leave --dhcp out", strings.Join(clientNames, ", "), j.NIC)
	}
	return client, nil
}

// leased is the address of the lease: the one that the client tells, or that ends, or the only
// one.
func (j leaser) leased(ctx context.Context, nic *rtnl.Link, told netip.Prefix) (addr netip.Prefix, forever bool, err error) {
	all, err := rtnl.Addrs(ctx, j.host.Conn, nic.Index)
	if err != nil {
		return told, false, err
	}
	var ends, any []netip.Prefix
	for _, a := range all {
		switch {
		case !a.Prefix.Addr().Is4():
			continue
		case a.Prefix.Addr() == told.Addr():
			return a.Prefix, a.Valid == rtnl.Forever, nil
		case a.Valid != rtnl.Forever:
			ends = append(ends, a.Prefix)
		}
		any = append(any, a.Prefix)
	}
	for _, some := range [][]netip.Prefix{ends, any} {
		if len(some) == 1 {
			return some[0], len(ends) == 0, nil
		}
	}
	return told, false, errs.New(fs.ErrNotExist, "which address of %s is leased cannot be told: leave --dhcp out", nic.Name)
}

// until says how long the lease is good.
func (t *takenLease) until() string {
	if t.Lease.Expires.IsZero() {
		return fmt.Sprintf("%s is leased for ever", t.Lease.Addr.Addr())
	}
	return fmt.Sprintf("%s is leased until %s unless pipework watch keeps it", t.Lease.Addr.Addr(), t.Lease.Expires.Format(time.DateTime))
}

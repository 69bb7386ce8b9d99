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
	"github.com/go-pipework/pipework/internal/onhost"
	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// This file takes the lease of the NIC's DHCP client over. The client is stopped, not ended: it
// neither gives the lease back nor takes the address away, nothing starts it again, and an undo has
// it go on, but for dhcpcd, which is ended then.

// A dhcpClient is a program that looks after the NIC.
type dhcpClient struct {
	Name string          `json:"name"`
	All  []clientProcess `json:"processes"` // dhcpcd has several
}

// A clientProcess is one of its processes. Another one may get its number.
type clientProcess struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // as /proc/PID/stat tells
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

// helpers adds all processes of dhcpcd in the network namespace.
func (c *dhcpClient) helpers(here string) error {
	c.All = nil
	for _, pid := range process.All() {
		comm := strings.TrimSpace(string(readSome(fmt.Sprintf("/proc/%d/comm", pid))))
		where, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil || where != here || comm != dhcpcd {
			continue
		}
		if started, err := process.Started(pid); err == nil {
			c.All = append(c.All, clientProcess{pid, started})
		}
	}
	if len(c.All) == 0 {
		return errs.New(fs.ErrNotExist, "dhcpcd has just ended")
	}
	return nil
}

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

// signal stops the client, has it go on, or ends it, and says whether it is at work then.
func (c dhcpClient) signal(ctx context.Context, s unix.Signal) (atWork bool, err error) {
	if err := fault.Step(ctx, "signal "+s.String()); err != nil {
		return false, err
	}
	if s == unix.SIGKILL && !slices.ContainsFunc(c.All, clientProcess.stopped) { // it was never told of a bridge
		s = unix.SIGCONT
	}
	for _, p := range c.All { // once one has ended the kernel may have let the others go on
		is, err := p.signal(s)
		if err != nil {
			return atWork, fmt.Errorf("%s (process %d): %w", c.Name, p.PID, err)
		}
		atWork = atWork || is
	}
	return atWork, nil
}

// stopped says that the process is there, and stopped.
func (p clientProcess) stopped() bool {
	started, err := process.Started(p.PID)
	return err == nil && started == p.Started && process.Stopped(p.PID)
}

// signal signals the process, unless it has ended: no other one that got its number meanwhile.
func (p clientProcess) signal(s unix.Signal) (atWork bool, err error) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = unix.Close(fd) }()
	if started, err := process.Started(p.PID); err != nil || started != p.Started {
		return false, nil
	}
	err = unix.PidfdSendSignal(fd, s, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	return err == nil && s == unix.SIGCONT, err
}

// stopClient has the client leave the lease alone.
func (j leaser) stopClient(ctx context.Context, r *record) error {
	if r.Taken == nil {
		return nil
	}
	_, err := r.Taken.Client.signal(ctx, unix.SIGSTOP)
	j.warn("%s is stopped (process %d): have it not start on %s at the next boot; %s", r.Taken.Client.Name, r.Taken.Client.All[0].PID, j.NIC, r.Taken.until())
	return err
}

// until says how long the lease is good.
func (t *takenLease) until() string {
	if t.Lease.Expires.IsZero() {
		return fmt.Sprintf("%s is leased for ever", t.Lease.Addr.Addr())
	}
	return fmt.Sprintf("%s is leased until %s unless pipework watch keeps it", t.Lease.Addr.Addr(), t.Lease.Expires.Format(time.DateTime))
}

// continueClient has the client go on.
func (j leaser) continueClient(ctx context.Context, r *record) error {
	if r.Taken == nil {
		return nil
	}
	signal := unix.SIGCONT
	if r.Taken.Client.Name == dhcpcd {
		signal = unix.SIGKILL
	}
	atWork, err := r.Taken.Client.signal(ctx, signal)
	if err == nil && !atWork {
		j.warn("nobody renews the lease of %s on %s any more: start %s again", r.Taken.Lease.Addr.Addr(), j.NIC, r.Taken.Client.Name)
	}
	return err
}

// lifetime gives the leased address the time that the lease has now.
func (m mover) lifetime(ctx context.Context, l *rtnl.Link, t *takenLease) error {
	lease := t.Lease
	a := rtnl.Addr{Index: l.Index, Prefix: lease.Addr, Valid: rtnl.Forever, Preferred: rtnl.Forever}
	if left := lease.Remaining(time.Now()); left >= 0 {
		a.Valid = uint32(max(1, min(left/time.Second, rtnl.Forever-1))) // the kernel takes no 0
		a.Preferred = a.Valid
	}
	have, err := rtnl.Addrs(ctx, m.host.Conn, l.Index)
	if err != nil {
		return err
	}
	for _, h := range have {
		if h.Prefix.Addr() == a.Prefix.Addr() {
			if t.Forever {
				return nil
			}
			a.Prefix = h.Prefix
			a.Flags = h.Flags & unix.IFA_F_NOPREFIXROUTE
		}
	}
	return rtnl.PutAddr(ctx, m.host.Conn, a)
}

func leases(ctx context.Context, store *keep.Store, host *ns.Handle) (all []dhcp.Kept, err error) {
	notes, err := store.Notes(Plan{}.note().Kind)
	if len(notes) == 0 {
		return nil, err
	}
	var cookie uint64
	if err := onhost.Do(ctx, host, func(h link.Host) error {
		cookie = h.Conn.Cookie()
		return nil
	}); err != nil {
		return nil, err
	}
	for _, b := range notes {
		r, err := parseRecord(b)
		if err != nil || r.Taken == nil || r.Phase != moved || r.Boot != ns.BootID() || r.Cookie != cookie {
			continue // List tells what is wrong, and others what is theirs
		}
		p := Plan{NIC: r.NIC, Bridge: r.Bridge, Store: store, Host: host}
		kept := dhcp.Kept{Target: hostTarget{host}, Interface: r.Bridge, Port: r.NIC, Config: r.Taken.config(), Lease: r.Taken.Lease}
		kept.Apply = func(ctx context.Context, _ *ns.Guest, old, next *dhcp.Lease) error {
			return p.applyLease(ctx, old, next)
		}
		all = append(all, kept)
	}
	return all, err
}

// A hostTarget is the host as a guest.
type hostTarget struct{ host *ns.Handle }

// Open opens the host's namespace once more.
func (h hostTarget) Open(ctx context.Context) (*ns.Guest, error) {
	if h.host != nil {
		return ns.Path(fmt.Sprintf("/proc/self/fd/%d", h.host.NetNS())).Open(ctx)
	}
	current, err := ns.Current()
	if err != nil {
		return nil, err
	}
	return &ns.Guest{Handle: current}, nil
}

// applyLease makes the bridge what the lease says, and records it.
func (p Plan) applyLease(ctx context.Context, old, next *dhcp.Lease) error {
	j, end, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer end()
	r, err := j.read(ctx)
	if err != nil {
		return err
	}
	br, err := rtnl.LinkByName(ctx, j.host.Conn, p.Bridge)
	if err != nil {
		return err
	}
	if r == nil || r.Taken == nil || r.Phase != moved {
		return errs.New(fs.ErrNotExist, "the uplink of %s was undone", p.Bridge)
	}
	if next != nil {
		r.Taken.Lease = next
		if err := j.lifetime(ctx, br, r.Taken); err != nil {
			return err
		}
	}
	if old != nil && (next == nil || next.Addr.Addr() != old.Addr.Addr()) {
		if err := j.withdraw(ctx, br, old); err != nil {
			return err
		}
		r.forgetLease(old)
	}
	if next != nil {
		if err := (leaser{j}).leaseRouter(ctx, br, old, next); err != nil {
			return err
		}
	}
	if err := j.write(ctx, r); err != nil && !errs.IsUnwritable(err) {
		return err
	}
	return nil
}

// withdraw takes the leased address away, with whatever prefix length the client gave it. The
// kernel keeps the others of its subnet meanwhile (promote_secondaries), the next lease's among them.
func (m mover) withdraw(ctx context.Context, l *rtnl.Link, lease *dhcp.Lease) (err error) {
	promote := "/proc/sys/net/ipv4/conf/" + l.Name + "/promote_secondaries"
	was, err := m.setting(ctx, promote)
	if err == nil {
		err = m.set(ctx, promote, "1")
	}
	if err != nil {
		return err
	}
	defer func() { err = errs.Join(err, m.set(ctx, promote, was)) }()
	have, err := rtnl.Addrs(ctx, m.host.Conn, l.Index)
	for _, h := range have {
		if h.Prefix.Addr() == lease.Addr.Addr() {
			err = errs.Join(err, rtnl.DelAddr(ctx, m.host.Conn, l.Index, h.Prefix))
		}
	}
	return err
}

// forgetLease takes what came of a former lease out of what the bridge is to have.
func (r *record) forgetLease(old *dhcp.Lease) {
	r.Addrs = slices.DeleteFunc(r.Addrs, func(s rtnl.Saved) bool {
		a, ok := s.Addr()
		return ok && a.Prefix.Addr() == old.Addr.Addr()
	})
	r.Routes = slices.DeleteFunc(r.Routes, func(b rtnl.Saved) bool {
		route, ok := rtnl.ParseSaved(b)
		return ok && route.Gateway.IsValid() && route.Gateway == old.Gateway() || ok && route.Src == old.Addr.Addr()
	})
}

// leaseRouter has the default route lead to the lease's router, where that, or the address, is
// another one.
func (j leaser) leaseRouter(ctx context.Context, br *rtnl.Link, old, next *dhcp.Lease) error {
	gw := next.Gateway()
	if !gw.IsValid() || old != nil && old.Gateway() == gw && old.Addr == next.Addr {
		return nil
	}
	all, err := rtnl.Defaults(ctx, j.host.Conn, unix.AF_INET, unix.RT_TABLE_MAIN)
	if err != nil {
		return err
	}
	var metric uint32
	var former []rtnl.Route
	for _, r := range all {
		if r.Index != br.Index || old != nil && r.Gateway != old.Gateway() && r.Gateway != gw {
			continue
		}
		if metric = r.Metric; r.Gateway != gw {
			former = append(former, r)
		}
	}
	// Add takes no other interface's route away, as Put would, and the new route is there first.
	to := rtnl.Via(netip.PrefixFrom(netip.IPv4Unspecified(), 0), gw, br.Index).With(metric, netip.Addr{}).By(unix.RTPROT_DHCP)
	if err := to.Add(ctx, j.host.Conn); err != nil {
		return err
	}
	for _, r := range former {
		if err := r.Delete(ctx, j.host.Conn); err != nil {
			return err
		}
	}
	return nil
}

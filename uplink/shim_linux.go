package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/finish"
	"github.com/go-pipework/pipework/internal/hostaddr"
	"github.com/go-pipework/pipework/internal/onhost"
	"github.com/go-pipework/pipework/internal/rtnl"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

// shimMark is the ifalias of a shim.
const shimMark = "pipework shim"

// A shimJob is one call.
type shimJob struct {
	Shim
	mover
	done *Shimmed
}

// open calls f while others wait who are at work on the shim.
func (s Shim) open(ctx context.Context, f func(*shimJob) error) (*Shimmed, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	done := &Shimmed{NIC: s.NIC, Interface: ShimName(s.NIC), Addrs: []netip.Prefix{}, Guests: []netip.Addr{}}
	err := onhost.Do(ctx, s.Host, func(h link.Host) error {
		unlock, err := s.Store.LockNote(ctx, s.note())
		if err != nil {
			return err
		}
		defer unlock()
		return f(&shimJob{s, mover{h}, done})
	})
	if err != nil {
		return nil, err
	}
	return done, nil
}

func (s Shim) validate() error {
	wrong := []error{link.ValidName(s.NIC)}
	if s.Store == nil {
		wrong = append(wrong, errors.New("no store to record the shim in"))
	}
	for _, a := range s.Addrs {
		if !a.IsValid() || a.Addr().Is4In6() || a.Addr().Zone() != "" {
			wrong = append(wrong, fmt.Errorf("%v is no address with a prefix length", a))
			continue
		}
		wrong = append(wrong, hostaddr.In(a))
	}
	if err := errs.Join(wrong...); err != nil {
		return errs.New(fs.ErrInvalid, "%w", err)
	}
	return nil
}

func (s Shim) add(ctx context.Context) (*Shimmed, error) {
	if len(s.Addrs) == 0 {
		return nil, errs.New(fs.ErrInvalid, "a shim needs an address, such as 192.168.1.5/24")
	}
	return s.open(ctx, func(j *shimJob) error {
		old, err := j.read()
		if err != nil {
			return err
		}
		if err := j.refused(ctx); err != nil {
			return err
		}
		r := &shimRecord{}
		if old != nil {
			r.Addrs = slices.Clone(old.Addrs)
		}
		for _, a := range s.Addrs {
			if !slices.Contains(r.Addrs, a) {
				r.Addrs = append(r.Addrs, a)
			}
		}
		err = j.write(ctx, r)
		if err == nil {
			err = j.bring(ctx, r)
		}
		if err == nil || fault.Killed(ctx) {
			return err
		}
		late, cancel := context.WithTimeout(fault.Off(ctx), undoTime)
		defer cancel()
		return errs.Join(fmt.Errorf("shim of %s: %w", j.NIC, err), j.revert(late, old))
	})
}

// revert makes the shim what it was by the record old, nil: there was none.
func (j *shimJob) revert(ctx context.Context, old *shimRecord) error {
	if old == nil {
		return errs.Join(j.delete(ctx), j.write(ctx, nil))
	}
	return errs.Join(j.write(ctx, old), j.withdraw(ctx, old))
}

// withdraw takes from the interface the addresses of the call that the record does not have.
func (j *shimJob) withdraw(ctx context.Context, r *shimRecord) error {
	l, err := j.find(ctx)
	if l == nil || err != nil {
		return err
	}
	for _, a := range j.Addrs {
		if !slices.Contains(r.Addrs, a) {
			if err := rtnl.DelAddr(ctx, j.host.Conn, l.Index, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s Shim) remove(ctx context.Context) (*Shimmed, error) {
	return s.open(ctx, func(j *shimJob) error {
		old, err := j.read()
		if err != nil {
			return err
		}
		left, err := j.without(ctx, old)
		if err != nil {
			return err
		}
		late, end := finish.Context(ctx) // what has begun is finished
		defer end()
		if left == nil {
			return errs.Join(j.delete(late), j.write(late, nil))
		}
		if err := j.write(late, left); err != nil && !errs.IsUnwritable(err) {
			return err
		}
		if err := j.withdraw(late, left); err != nil {
			return err
		}
		if _, err := j.nic(late); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return j.bring(late, left)
	})
}

// without is the record without the addresses of the call; nil where none is left.
func (j *shimJob) without(ctx context.Context, r *shimRecord) (*shimRecord, error) {
	if r == nil {
		l, err := j.find(ctx)
		if err != nil {
			return nil, err
		}
		if l == nil || len(j.Addrs) > 0 {
			return nil, errs.New(fs.ErrNotExist, "%s has no shim, as far as is recorded in %s: nothing to undo", j.NIC, j.Store.Dir())
		}
		return nil, nil // its record was lost
	}
	if len(j.Addrs) == 0 {
		return nil, nil
	}
	left := &shimRecord{Addrs: slices.Clone(r.Addrs)}
	for _, a := range j.Addrs {
		i := slices.Index(left.Addrs, a)
		if i < 0 {
			return nil, errs.New(fs.ErrNotExist, "the shim of %s has no address %s: it has%s", j.NIC, a, addrList(r.Addrs))
		}
		left.Addrs = slices.Delete(left.Addrs, i, i+1)
	}
	if len(left.Addrs) == 0 {
		return nil, nil
	}
	return left, nil
}

func addrList(all []netip.Prefix) (text string) {
	for _, a := range all {
		text += " " + a.String()
	}
	return text
}

func follow(ctx context.Context, store *keep.Store, host *ns.Handle) error {
	all, err := shimRecords(store)
	failed := []error{err}
	for _, r := range all {
		failed = append(failed, Shim{NIC: r.NIC, Store: store, Host: host}.again(ctx))
	}
	return errs.Join(failed...)
}

// again makes the shim what its record says.
func (s Shim) again(ctx context.Context) error {
	_, err := s.open(ctx, func(j *shimJob) error {
		b, err := j.Store.Note(j.note())
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil {
			return err
		}
		r, err := readShim(b)
		if err != nil || !j.isHere(r) {
			return err
		}
		if _, err := j.nic(ctx); errors.Is(err, fs.ErrNotExist) {
			return nil // it may come, or come home
		}
		if r.Boot != ns.BootID() {
			if err := j.write(ctx, r); err != nil && !errs.IsUnwritable(err) {
				return err
			}
		}
		if err := j.bring(ctx, r); err != nil {
			return fmt.Errorf("shim of %s: %w", s.NIC, err)
		}
		return nil
	})
	return err
}

// nic is the NIC.
func (j *shimJob) nic(ctx context.Context) (*rtnl.Link, error) {
	return rtnl.LinkByName(ctx, j.host.Conn, j.NIC)
}

// refused says why the NIC cannot have a shim, or not with these addresses.
func (j *shimJob) refused(ctx context.Context) error {
	nic, err := j.nic(ctx)
	if err != nil {
		return fmt.Errorf("%w that could have a shim: see `ip link`", err)
	}
	switch {
	case nic.Type != unix.ARPHRD_ETHER || len(nic.MAC) != 6:
		return errs.New(fs.ErrInvalid, "%s is no Ethernet interface, and macvlan needs one", nic.Name)
	case nic.Alias == shimMark:
		return errs.New(fs.ErrInvalid, "%s is itself a shim: name the NIC that it stands on", nic.Name)
	case !nic.Up:
		return errs.New(fs.ErrInvalid, "%s is down: ip link set %s up", nic.Name, nic.Name)
	}
	if err := elsewhere(j.Store, j.NIC, ShimName(j.NIC), j.host.Conn.Cookie()); err != nil {
		return err
	}
	if err := j.refusedGuests(); err != nil {
		return err
	}
	all, err := rtnl.Addrs(ctx, j.host.Conn, 0)
	if err != nil {
		return err
	}
	own, err := j.find(ctx)
	if err != nil {
		return err
	}
	for _, have := range all {
		if own != nil && have.Index == own.Index {
			continue
		}
		if slices.ContainsFunc(j.Addrs, func(a netip.Prefix) bool { return a.Addr() == have.Prefix.Addr() }) {
			return errs.New(fs.ErrExist, "the host has the address %s already, on another interface: give the shim one of its own, which no other host has", have.Prefix.Addr())
		}
	}
	return nil
}

// refusedGuests refuses an address that a guest on the NIC has by its record.
func (j *shimJob) refusedGuests() error {
	records, _, err := j.Store.All()
	if err != nil {
		return err
	}
	for _, rec := range records {
		if rec.Attachment == nil || !standsOn(rec.Attachment.Link, j.NIC) {
			continue
		}
		for _, p := range rec.Attachment.Addrs {
			if slices.ContainsFunc(j.Addrs, func(a netip.Prefix) bool { return a.Addr() == p.Addr() }) {
				return errs.New(fs.ErrExist, "the guest %s has the address %s: give the shim one of its own, which no other host has", rec.Guest, p.Addr())
			}
		}
	}
	return nil
}

// find is the shim's interface, finished or not; nil where there is none.
func (j *shimJob) find(ctx context.Context) (*rtnl.Link, error) {
	l, err := rtnl.LinkByName(ctx, j.host.Conn, ShimName(j.NIC))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case l.Kind == "macvlan" && l.Alias == link.UplinkMark:
		return nil, errs.New(fs.ErrExist, "%s has taken over what %s has: guests reach the host by that; or pipework shim --undo %s first", l.Name, j.NIC, j.NIC)
	case l.Kind != "macvlan", l.Alias != shimMark && !l.Unfinished():
		return nil, errs.New(fs.ErrExist, "%s is an interface that pipework did not make: ip link set %s name ANOTHER", l.Name, l.Name)
	}
	return l, nil
}

package keep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/stage"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// A Plugger attaches, detaches, checks and collects what is [Declared], and keeps a
// record of each attachment. It may be used by several goroutines.
type Plugger struct {
	pipework.Attacher
	// Store has the records; nil keeps none.
	Store *Store
	// Target finds a guest: find.Target. Where the Attacher has no Find it also finds the
	// other guests that links name.
	Target func(ns.Ref) pipework.Target
	// OVS is the Open vSwitch to plug into, and one of the Collectors; nil is the
	// standard one.
	OVS *ovs.Client
	// Output hears, in lines for people, what goes on while a lease is waited for and
	// kept; nil hears nothing.
	Output io.Writer
	// Follow brings up to date what follows the records, such as the routes of a shim to its
	// guests: uplink.Follow. Attach, Detach and DetachGuest call it once records have changed. Its
	// error is a warning. nil: nothing does.
	Follow func(ctx context.Context, s *Store, host *ns.Handle) error
}

// follow calls Follow, and returns its error as warnings.
func follow(ctx context.Context, p *Plugger) (warnings []string) {
	if p.Follow == nil || p.Store == nil {
		return nil
	}
	if err := p.Follow(ctx, p.Store, p.Host); err != nil {
		return strings.Split(err.Error(), "\n")
	}
	return nil
}

// attacher is the Attacher, which finds other guests as the Plugger does.
func (p *Plugger) attacher() *pipework.Attacher {
	a := p.Attacher
	if a.Find == nil {
		a.Find = p.Target
	}
	return &a
}

// observer is the attacher for what is looked at on the way: it does not look for other hosts
// that have an address, which takes its time.
func (p *Plugger) observer() *pipework.Attacher {
	a := p.attacher()
	a.Probe = 0
	return a
}

// attached records the result of an Attach.
func (p *Plugger) attached(r Record, at *pipework.Attachment) error {
	if r.Since = time.Now().UTC().Round(time.Millisecond); r.Before != nil && (r.mending || at.Existed && !r.asksDefault()) {
		r.Since = cmp.Or(r.Before.Since, r.Before.Changed)
	}
	if at.Existed {
		r.mergeBefore(at)
	}
	if more := len(at.Addrs) - addrsMax; more > 0 {
		at.Warnings = append(at.Warnings, fmt.Sprintf("the interface has %d addresses more than a record holds", more))
	}
	r.Phase, r.Before, r.Attachment, r.Saved, r.Guest.ID, r.Namespace = Attached, nil, stored(at), at.Saved, at.Guest.ID, at.Namespace
	return p.Store.Put(r)
}

// asksDefault says whether the record declares a default route: a gateway, or a lease.
func (r *Record) asksDefault() bool {
	return len(r.Spec.Gateways) > 0 || r.Spec.DHCP != nil || r.Program != nil
}

// specOf is the Spec of a record, for what is or was plugged in: with the backend that
// the Attachment names. The error is of a record of version 1 without one, while it
// cannot be told what its line means.
func (p *Plugger) specOf(ctx context.Context, r *Record) (pipework.Spec, error) {
	d := r.Declared()
	var b link.Backend
	if at := r.Attachment; at != nil && (at.Link != link.Unmarked || d.Spec.Link == nil) { // of one without a mark the record knows more
		b = backend(at.Link, p.OVS)
	}
	if b == nil && r.line != nil {
		found, err := p.Declared(ctx, *r.line)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && stage.Retryable(err) {
			return pipework.Spec{}, err
		}
		b = found.Spec.Link
	}
	if v, is := d.Spec.Link.(link.Veth); b != nil && !(is && v.String() == b.String()) { // a name does not say all of a pair
		d.Spec.Link = b
	}
	d.Spec.Name = r.Interface
	return d.bound(p.OVS).Spec, nil
}

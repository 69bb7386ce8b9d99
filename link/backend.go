package link

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"slices"

	"github.com/go-pipework/pipework/ns"
)

// A Backend makes one network interface in a guest, and takes it away again. A
// Backend is a value that holds its own configuration, such as
// Bridge{Name: "br1"}, or a pointer to one; anyone can implement one.
//
// Whatever a method creates outside of the guest must bear the Port's Mark, and
// only what bears a mark may be removed. No method removes or resets what
// existed before.
type Backend interface {
	// Plug makes the interface p.Name in the guest, down, with p.MAC and p.MTU,
	// connected on the host's side, and fills p.HostName. Each change pushes
	// its reverse on u; Plug itself undoes nothing. When the guest has an
	// interface of that name already, Plug changes nothing and its error
	// satisfies fs.ErrExist.
	Plug(ctx context.Context, p *Port, u *Undo) error

	// Check compares what Plug made with what it would make now, and changes
	// nothing. It fills p.HostName. The interface p.Name exists in the guest.
	Check(ctx context.Context, p *Port) ([]Drift, error)

	// Unplug removes what Plug made, and what Plug created on the host for it
	// when nobody else uses that. What is gone already is no error; the guest
	// itself may be gone, then p.Conn and p.Guest are nil, and p.Mark.Guest is
	// what is still known of it.
	Unplug(ctx context.Context, p *Port) error

	// String is the kind and the host's interface, "bridge:br1". It is written
	// into the mark, so that it has to stay the same for the same place.
	fmt.Stringer
}

// ByValue is the Backend that b points to, where its type is one without the pointer,
// too: &Bridge{} means Bridge{}. A nil pointer is no Backend: nil.
func ByValue(b Backend) Backend {
	v := reflect.ValueOf(b)
	if v.Kind() != reflect.Pointer {
		return b
	}
	if v.IsNil() {
		return nil
	}
	if value, is := v.Elem().Interface().(Backend); is {
		return value
	}
	return b
}

// A Validator is a Backend that can tell a configuration that is wrong by
// itself, before anything is touched: all that is wrong, joined.
type Validator interface {
	Validate() error
}

// A Foreteller is a Backend that tells beforehand what Plug would refuse, as far as that can be
// read: Foretell returns the error that Plug would, or else what Plug would make on the host,
// such as "bridge br1". It changes nothing, and fills p.MTU as Plug does. The guest has no
// interface p.Name. What only the kernel knows, when it is asked, stays open; and so does what
// others change before Plug comes.
type Foreteller interface {
	Foretell(ctx context.Context, p *Port) (makes []string, err error)
}

// A FixedMAC is a Backend whose interfaces have a MAC that is not the caller's to
// choose: it ignores Port.MAC. The text says why, in one line; "" means that it
// may be chosen after all.
type FixedMAC interface {
	FixedMAC() string
}

// A Setter is a Backend some of whose settings say how to work, not what to plug into:
// two Specs that differ in them alone are the same. Settings is the Backend without
// them.
type Setter interface {
	Settings() Backend
}

// An OnInterface is a Backend that works on an interface of the host's, such as a bridge
// or a NIC: HostInterface is its name there.
type OnInterface interface {
	HostInterface() string
}

// A WithVLAN is a Backend that can put a guest into a VLAN: WithVLAN is the Backend with
// this one, 1 to 4094.
type WithVLAN interface {
	WithVLAN(id int) Backend
}

// An InVLANs is a Backend that puts a guest into VLANs: VLANs are those of its frames, 0 of
// frames without one; nil is all.
type InVLANs interface {
	VLANs() []int
}

// An Isolator is a Backend that can keep a guest from others that are kept so, too: Isolate
// is the Backend with that.
type Isolator interface {
	Isolate() Backend
}

// IsIsolated says whether the Backend is an [Isolator] that keeps the guest so.
func IsIsolated(b Backend) bool {
	i, can := b.(Isolator)
	return can && reflect.DeepEqual(i.Isolate(), b)
}

// A WithTrunks is a Backend whose port of a bridge can carry VLANs tagged: WithTrunks is
// the Backend with these, each 1 to 4094.
type WithTrunks interface {
	WithTrunks(vlans []int) Backend
}

// A WithHostName is a Backend by a pair whose end on the host has a name of the
// caller's choice: WithHostName is the Backend with this one.
type WithHostName interface {
	WithHostName(name string) Backend
}

// A Host is the namespace that bridges and NICs are in.
type Host struct {
	*ns.Handle
	Conn *ns.Conn // opened inside it
	// Here says that the thread that uses the Host is in it, so that nothing needs to
	// enter it: not for a Host that other goroutines work with, too.
	Here bool
	// Find finds another guest, that a Backend connects this one with; nil finds those of
	// the kinds netns, pid and path.
	Find func(ns.Ref) ns.Target
	// Warn hears, in one line, of what a [Collector] could not bring back; nil: nobody does.
	Warn func(text string)
}

func (h Host) warn(format string, args ...any) {
	if h.Warn != nil {
		h.Warn(fmt.Sprintf(format, args...))
	}
}

// A Port is one interface to be made, checked or removed: what a Backend is
// told, and where it puts what it learned.
type Port struct {
	Host  Host
	Guest *ns.Guest
	Conn  *ns.Conn // opened inside the guest

	Name string           // of the interface inside the guest
	MAC  net.HardwareAddr // never nil for Plug; not for a FixedMAC
	// MACAsked says that the Spec names MAC; otherwise it is a random one.
	MACAsked bool
	MTU      int // bytes; 0: the backend's choice
	// HostMTU is that of the host's end where it is not MTU: a bridge has the least MTU of its
	// ports, and is to keep its own. [PlugVeth] sees to it; 0: as MTU.
	HostMTU int
	Mark    Mark
	// Pin is what may leave the guest; nil: everything. [PlugVeth] sees to it.
	Pin *Pin
	// Exact has Check tell also of settings that the Backend leaves at their default and
	// that are otherwise, such as a bridge port's VLANs where it asks for none.
	Exact bool
	// Force has Unplug of a [Phys] believe a mark that the host has no record of.
	Force bool

	// Made says that Plug made the interface with just this Name, MAC and MTU, so that
	// nobody has to look.
	Made     bool
	Index    int      // of the interface inside the guest, once it is there
	HostName string   // of the host's end, where there is one
	Warnings []string // one line each, for the caller to read
	// Forwarding says in one phrase why what the host's end is a port of does not forward
	// yet, and "" when it does. Plug and Check set it where the kernel cannot tell; nil:
	// the host's end tells.
	Forwarding func(context.Context) (why string, err error)
	// Blocked is what Forwarding, or the kernel, said when it was waited for in vain.
	Blocked string
}

// Warn adds one line to p.Warnings, once.
func (p *Port) Warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(p.Warnings, text) {
		p.Warnings = append(p.Warnings, text)
	}
}

// A Drift is one difference between what was made and what is.
type Drift struct {
	What string // one line: "host end veth1pl123 is down"
	// Mend puts it right, and pushes the reverse on u; nil: nothing does.
	Mend func(ctx context.Context, u *Undo) error
	// Chosen says that it is a matter of what a Spec chooses, and may be as it is
	// because another Spec chose so.
	Chosen bool
	// Recreate says that nothing but recreating the interface puts it right, such as where it
	// leads to a network namespace that the other guest of a pair has no more, and that Plug
	// is expected to succeed: Attach and Update do so.
	Recreate bool
}

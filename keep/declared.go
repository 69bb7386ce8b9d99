package keep

import (
	"encoding/json"
	"time"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ovs"
)

// A Declared is what plugs one interface in, now and after each restart: a Spec, and
// what is not a matter of a Spec. [Plugger.Declared] makes one of a command line.
type Declared struct {
	// Spec may be anything that [pipework.Attach] takes. Its Link is of a kind that the
	// Store was opened with.
	Spec pipework.Spec
	// Program is the DHCP client program that gets the address, in place of Spec.DHCP;
	// nil: none does.
	Program *Program
	// HostMAC is the MAC of the host's interface that Spec.Link stands on: at each start
	// the interface that has it then is looked for, whatever it is called. nil: the name
	// in Spec.Link counts.
	HostMAC pipework.MAC

	// Source is who declares it; "" is FromCommand.
	Source Source
	// Stay asks Attach for a function that keeps the lease of Spec.DHCP. It is of one
	// call, and is not recorded.
	Stay bool
	// Retry is the pause before Attach asks again when no DHCP server answered; 0: it
	// gives up. It is of one call, and is not recorded.
	Retry time.Duration

	mending bool   // what was declared before is made so again, and no newer than it was
	word    string // the host interface as a command line says it; "" for a Spec
	ignored string // what the line says in vain, for people; "": nothing
}

// A Program is a DHCP client program; see package dhcp/program.
type Program struct {
	Name    string   `json:"name"` // udhcpc, dhclient or dhcpcd
	Options []string `json:"options,omitempty"`
	Stay    bool     `json:"stay,omitempty"` // it goes on, and renews the lease
}

// Text tells one Declared from another, as far as it is recorded.
func (d Declared) Text() string {
	b, err := json.Marshal([]any{d.Spec, d.Program, d.HostMAC})
	if err != nil {
		return err.Error() // which no record has
	}
	return string(b)
}

// bound is the Declared with this Open vSwitch to speak to, which JSON does not hold.
func (d Declared) bound(client *ovs.Client) Declared {
	if b, is := d.Spec.Link.(ovs.Bridge); is && b.Client == nil {
		b.Client = client
		d.Spec.Link = b
	}
	return d
}

// hostName is what the Link asks the host's end of a pair to be called.
func (d Declared) hostName() string {
	switch b := d.Spec.Link.(type) {
	case link.Bridge:
		return b.HostName
	case ovs.Bridge:
		return b.HostName
	}
	return ""
}

// onto is the backend with another interface of the host; not ok for a backend that a
// MAC cannot stand for.
func onto(b link.Backend, name string) (moved link.Backend, ok bool) {
	switch b := b.(type) {
	case link.Bridge:
		b.Name = name
		return b, true
	case link.Macvlan:
		b.Parent = name
		return b, true
	case link.Ipvlan:
		b.Parent = name
		return b, true
	case link.IPoIB:
		b.Parent = name
		return b, true
	case link.Phys:
		b.Device = name
		return b, true
	case ovs.Bridge:
		b.Name = name
		return b, true
	}
	return b, false
}

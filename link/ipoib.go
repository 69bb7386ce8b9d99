package link

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/go-pipework/pipework/internal/errs"
)

// An IPoIB plugs guests into a partition of an InfiniBand network, by a child of
// the host's IPoIB interface. Its hardware address has 20 bytes and is the
// kernel's to choose; all children on one port have the same port GUID, so that
// their IPv6 link-local addresses are the same too. Needs CAP_NET_ADMIN in the
// host's and in the guest's network namespace, and CONFIG_INFINIBAND_IPOIB.
//
// The kernel does not remove a child whose guest ends, but returns it to the
// initial network namespace; the next Plug on the same parent removes it, as
// does [Collect].
type IPoIB struct {
	// Parent is the interface on the host, such as ib0.
	Parent string `json:"parent"`
	// PKey is the partition key; 0 stands for the parent's. The kernel sets its
	// highest bit, full membership, so that 0x0001 and 0x8001 are the same.
	PKey uint16 `json:"pkey,omitempty"`
}

var (
	_ Backend   = IPoIB{}
	_ Validator = IPoIB{}
	_ FixedMAC  = IPoIB{}
)

// fullMember is the bit of a partition key that says full membership
// (InfiniBand Architecture Specification, volume 1, 10.9.1.1).
const fullMember = 0x8000

// key is the partition key as the kernel has it; 0 the parent's.
func (i IPoIB) key() uint16 {
	if i.PKey == 0 {
		return 0
	}
	return i.PKey | fullMember
}

// HostInterface is the parent.
func (i IPoIB) HostInterface() string { return i.Parent }

// String is "ipoib:ib0", or "ipoib:ib0@8001" with a partition key.
func (i IPoIB) String() string {
	if i.PKey == 0 {
		return "ipoib:" + i.Parent
	}
	return fmt.Sprintf("ipoib:%s@%04x", i.Parent, i.key())
}

// parseIPoIB reads what String printed after the colon.
func parseIPoIB(s string) IPoIB {
	name, key, found := cutLast(s, "@")
	if pkey, err := strconv.ParseUint(key, 16, 16); found && err == nil {
		return IPoIB{name, uint16(pkey)}
	}
	return IPoIB{Parent: s}
}

// Validate refuses bad names, and the partition key that is no key.
func (i IPoIB) Validate() error {
	var wrong error
	if i.PKey == fullMember {
		wrong = errors.New("partition key 8000 is invalid: its lower 15 bits must not be 0")
	}
	return errs.Join(validParent(i.Parent), wrong)
}

// FixedMAC says that the kernel chooses a child's address, first as the classic
// tool worded it.
func (IPoIB) FixedMAC() string {
	return "MACADDR configuration unsupported for IPoIB interfaces. (it takes no MAC: its address belongs to the adapter)"
}

package link

// A Dummy is an interface that leads nowhere: it carries an address, and drops
// what is sent to it. Needs CAP_NET_ADMIN in the host's and in the guest's
// network namespace, and CONFIG_DUMMY.
type Dummy struct{}

var _ Backend = Dummy{}

// String is "dummy".
func (Dummy) String() string { return "dummy" }

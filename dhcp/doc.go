// Package dhcp gets addresses from DHCP servers for interfaces inside network
// namespaces, keeps them, and gives them back. It runs no program and writes no
// state: a [Lease] is plain data for the caller to keep. Package dhcp/program runs
// the programs of the classic tool, for who insists on one.
//
// A [Client] makes one exchange at a time (DHCPv4, RFC 2131; DHCPv6, RFC 8415). It opens its sockets inside
// the guest's namespace and closes them before it returns, so that nothing keeps
// a dead guest's namespace alive. A [Keeper] renews any number of leases with one
// scheduler, and has no socket open while it waits.
//
// What a server says is checked, never trusted: an answer with an address, mask
// or server that cannot be is ignored as if it had not come, and options that make
// no sense are left out of the Lease.
//
// IPv6 routers are the kernel's business: it follows their advertisements, and
// [AwaitSLAAC] waits for the addresses that it makes of them.
//
// Needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE in the guest's
// namespace, and Linux; elsewhere every call answers [errors.ErrUnsupported].
package dhcp

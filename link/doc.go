// Package link makes network interfaces in guests, one kind of kernel link a
// file. A [Backend] is a value that says which: [Bridge] plugs a guest into a
// Linux bridge, [Macvlan], [Ipvlan], [VLAN] and [IPoIB] into the network that a
// NIC of the host is in, [Veth] into the host itself or into another guest, and
// [Dummy] into nothing. [Detect] finds the one that the classic command line means.
//
// An interface is born in place: one netlink message creates it inside the
// guest, with its final name, MAC and MTU, and with the host's end connected.
// What pipework made carries a [Mark] in its ifalias; nothing else is ever
// removed.
package link

// Package link makes network interfaces in guests, one kind of kernel link a
// file. A [Backend] is a value that says which: [Bridge] plugs a guest into a
// Linux bridge.
//
// An interface is born in place: one netlink message creates it inside the
// guest, with its final name, MAC and MTU, and with the host's end connected.
// What pipework made carries a [Mark] in its ifalias; nothing else is ever
// removed.
package link

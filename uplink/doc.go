// Package uplink puts a NIC of the host's under a bridge, of Linux or of Open vSwitch, without
// losing the host: [Move] makes it a port, and gives the bridge the NIC's addresses, routes and
// neighbours with everything that they have, in an order in which established connections go on.
// [Undo] is the way back.
//
// What is to come back is recorded before anything is changed. After an error, and after
// Undo of a call that was killed, addresses, routes and rules are what they were.
//
// All of it needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN in the host's network namespace,
// and Linux; elsewhere every call answers errors.ErrUnsupported.
package uplink

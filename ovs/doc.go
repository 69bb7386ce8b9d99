// Package ovs plugs guests into Open vSwitch bridges. [Bridge] is a backend for
// pipework.Spec; it speaks the OVSDB protocol (RFC 7047) itself and starts no
// program. A program that has a connection already gives it as a [Transactor].
//
// An attach is one transaction, guarded so that it fails as a whole when the
// bridge vanished or a name is in use, and over when ovs-vswitchd has given the
// port its number. Nothing of the database is monitored or kept: an attach costs
// the same with ten ports as with ten thousand, but for what Open vSwitch itself
// takes longer.
//
// Every port bears external_ids that say whose it is (pipework.interface,
// .bridge, .containerid, .containername, .nspid, .netns, .vlan, and .settings, which
// Bridge.Trunks and the like were asked for) and that
// pipework made it (pipework.made, pipework.mark); nothing else is ever removed.
// Settings of a port that the Bridge does not ask for are an administrator's: they are no
// drift, and stay.
// Ports outlive their container in Open vSwitch: Detach and [Client.Collect]
// remove them.
//
// A fake bridge (`ovs-vsctl add-br br-v30 ovs0 30`) is plugged into as ovs-vsctl does:
// its parent bridge gets the port, with its VLAN.
//
// Needs Open vSwitch 2.13 or later, and CAP_NET_ADMIN in the host's and the
// guest's network namespace. Where no OVSDB server listens, errors satisfy
// fs.ErrNotExist; where it may not be spoken to, fs.ErrPermission.
package ovs

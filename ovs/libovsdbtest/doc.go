// Package libovsdbtest runs package ovs on libovsdb's own client, which is a
// module of its own so that nobody who imports pipework gets what that client
// needs. Program measure compares that client with pipework's transport.
package libovsdbtest

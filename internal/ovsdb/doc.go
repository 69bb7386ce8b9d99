// Package ovsdb speaks the OVSDB protocol (RFC 7047): connections, transactions
// and what a server answers.
//
// The types of the protocol's operations and values are libovsdb's. Its client is
// not used: a garbled answer makes that panic in a goroutine of its own, and
// connecting reads the whole schema.
package ovsdb

// Package ovsdb speaks the OVSDB protocol (RFC 7047): connections, transactions
// and what a server answers. It trusts no server: what one message may have is
// bounded, and whatever is no proper answer is an error.
//
// The types of the protocol's operations and values are libovsdb's. Its client is
// not used, and can be: see [Transactor] and docs/decisions/ovsdb.md.
package ovsdb

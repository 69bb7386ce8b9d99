// Package openflow speaks as much OpenFlow 1.4 with a bridge of Open vSwitch as it takes to
// keep some flows there: all changes of a call are made in one step (a bundle), and flows
// are found by their cookie. Fields and actions are those of the OpenFlow Switch
// Specification 1.4.0, and of Nicira's extensions (Open vSwitch's nicira-ext.h).
//
// Whatever the other side sends is bounded, and every call ends with its context, or within
// some seconds where that has no end.
package openflow

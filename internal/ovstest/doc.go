// Package ovstest runs Open vSwitch for tests: ovsdb-server, and ovs-vswitchd
// where a test needs one, as child processes with a folder of their own. They
// end with the test, or with the test program, whatever happens to it.
package ovstest

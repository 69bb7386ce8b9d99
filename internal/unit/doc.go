// Package unit tests what is in contrib/systemd: it runs the command under the restrictions
// that the unit asks for.
package unit

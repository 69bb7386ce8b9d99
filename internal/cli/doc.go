// Package cli is what the command does beside calling the library: help, printing, its
// exit status, the files that it reads, and iproute2 in a guest.
package cli

//go:build !linux

package uplink

// VirtualNICs needs Linux.
func VirtualNICs() []string { return nil }

//go:build !linux

package dhcp

const nonBlock, noFollow = 0, 0

package link

import (
	"crypto/md5"
	"crypto/rand"
	"net"
)

// RandomMAC is a fresh locally administered unicast address, first byte 02.
func RandomMAC() net.HardwareAddr {
	mac := make(net.HardwareAddr, 6)
	_, _ = rand.Read(mac[1:]) // never fails: crypto/rand
	mac[0] = 2
	return mac
}

// UniqueMAC is the address that the classic command line writes U:seed: 02 and
// the first five bytes of the MD5 of seed plus a newline.
func UniqueMAC(seed string) net.HardwareAddr {
	sum := md5.Sum([]byte(seed + "\n"))
	return append(net.HardwareAddr{2}, sum[:5]...)
}

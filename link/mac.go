package link

import (
	"crypto/md5"
	"encoding/binary"
	"math/rand/v2"
	"net"
)

// RandomMAC is a fresh locally administered unicast address, first byte 02.
func RandomMAC() net.HardwareAddr {
	mac := make(net.HardwareAddr, 6)
	binary.NativeEndian.PutUint32(mac[1:], rand.Uint32())
	mac[0], mac[5] = 2, byte(rand.Uint32())
	return mac
}

// UniqueMAC is the address that the classic command line writes U:seed: 02 and
// the first five bytes of the MD5 of seed plus a newline.
func UniqueMAC(seed string) net.HardwareAddr {
	sum := md5.Sum([]byte(seed + "\n"))
	return append(net.HardwareAddr{2}, sum[:5]...)
}

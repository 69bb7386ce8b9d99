package link

import (
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

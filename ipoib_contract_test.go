//go:build linux

package pipework_test

import (
	"net"
	"os"
	"testing"

	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/link"
)

// TestIPoIBContract runs the contract on the lane's software adapter.
func TestIPoIBContract(t *testing.T) {
	needsIB(t)
	for name, b := range map[string]link.Backend{
		"key":      link.IPoIB{Parent: "ib0", PKey: 0x8001},
		"no key":   link.IPoIB{Parent: "ib0"},
		"moved in": slow{link.IPoIB{Parent: "ib0", PKey: 0x8001}},
	} {
		t.Run(name, func(t *testing.T) {
			contract.Run(t, contract.Case{Peers: true, NoMAC: true, Setup: func(testing.TB) link.Backend { return b }})
		})
	}
}

// needsIB skips the test where there is no InfiniBand adapter; lane qemu has one.
func needsIB(t testing.TB) {
	t.Helper()
	_, err := net.InterfaceByName("ib0")
	if err == nil {
		return
	}
	if os.Getenv("PIPEWORK_LANE") == "qemu" {
		t.Fatal(err)
	}
	t.Skip("no ib0:", err)
}

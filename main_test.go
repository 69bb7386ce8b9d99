//go:build linux

package pipework_test

import (
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
)

func TestMain(m *testing.M) {
	nstest.Main(m, "TestContractPhys", "TestContractVeth", "TestContractWithPolicy", "TestContractPinnedWithDHCP",
		"TestContract/pinned", "TestKindsContract/macvlan", "TestContract/bridge made", "TestContractBridgeVLAN",
		"TestKindsContract/macvlan moved in", "TestKindsContract/macvlan private", "TestContract/bridge there")
}

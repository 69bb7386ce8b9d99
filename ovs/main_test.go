//go:build linux

package ovs_test

import (
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
)

func TestMain(m *testing.M) {
	nstest.MainRoot(m, "TestContract/dummy, bridge made", "TestContract/dummy, fake bridge", "TestContract/userspace, bridge made",
		"TestContract/userspace, bridge there", "TestContract/dummy, bridge there", "TestContractPinned")
}

//go:build linux

package pipework_test

import (
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/link"
)

func TestContract(t *testing.T) {
	t.Run("bridge made", func(t *testing.T) {
		contract.Run(t, contract.Case{Peers: true, Many: true, Setup: func(testing.TB) link.Backend { return link.Bridge{Name: "br1"} }})
	})
	t.Run("bridge there", func(t *testing.T) {
		contract.Run(t, contract.Case{Peers: true, Setup: func(t testing.TB) link.Backend {
			addBridge(t, &netlink.Bridge{LinkAttrs: attrs("lan")})
			return link.Bridge{Name: "lan"}
		}})
	})
	t.Run("pinned", func(t *testing.T) {
		contract.Run(t, contract.Case{
			Peers: true, Many: true,
			Setup:  func(testing.TB) link.Backend { return link.Bridge{Name: "br1"} },
			Change: func(s *pipework.Spec) { s.Pin = true },
		})
	})
}

//go:build linux

package hostconf_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
)

// lane is that of the network managers.
const lane = "managers"

// TestMain needs root: network managers give their own user files that they write.
func TestMain(m *testing.M) {
	if !sandbox.IsRoot() || os.Getenv("PIPEWORK_LANE") != "" {
		if nstest.Required(lane) {
			fmt.Fprintln(os.Stderr, "lane managers needs root")
			os.Exit(1)
		}
		os.Exit(m.Run()) // where each test says why it is skipped
	}
	nstest.MainRoot(m)
}

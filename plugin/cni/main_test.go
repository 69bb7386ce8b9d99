//go:build linux

package cni_test

import (
	"os"
	"testing"

	"github.com/go-pipework/pipework/internal/runtimetest"
	"github.com/go-pipework/pipework/plugin/cni"
)

// TestMain is the plugin itself where a runtime, libcni, starts the test's binary as one.
func TestMain(m *testing.M) {
	if os.Getenv("CNI_COMMAND") != "" {
		cni.Main()
		return
	}
	runtimetest.Main(m)
}

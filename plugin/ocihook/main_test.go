//go:build linux

package ocihook_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-pipework/pipework/internal/runtimetest"
	"github.com/go-pipework/pipework/plugin/ocihook"
)

// TestMain is pipework-runtime where the test's binary is started as that.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "pipework-runtime" {
		if err := ocihook.Runtime(context.Background(), os.Args[1:], os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, "pipework:", err)
			os.Exit(1)
		}
		return
	}
	runtimetest.Main(m)
}

//go:build linux

package find_test

import (
	"testing"

	"github.com/go-pipework/pipework/internal/runtimetest"
)

func TestMain(m *testing.M) { runtimetest.Main(m) }

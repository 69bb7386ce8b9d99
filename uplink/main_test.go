//go:build linux

package uplink_test

import (
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
)

func TestMain(m *testing.M) { nstest.MainRoot(m) }

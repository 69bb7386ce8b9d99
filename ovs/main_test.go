//go:build linux

package ovs_test

import (
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
)

func TestMain(m *testing.M) { nstest.MainRoot(m) }

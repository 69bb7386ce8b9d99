//go:build linux

package docker_test

import (
	"errors"
	"io/fs"
	"net"
	"testing"

	"github.com/go-pipework/pipework/plugin/docker"
)

// TestListen takes the place of a driver that was killed, and not of one that is there.
func TestListen(t *testing.T) {
	path := t.TempDir() + "/plugins/pipework.sock"
	l, err := docker.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := docker.Listen(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second one: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as a kill leaves it
	_ = l.Close()
	if l, err = docker.Listen(path); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

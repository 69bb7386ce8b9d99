//go:build linux

package sandbox_test

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/sandbox"
)

// TestStartNetworkOfAForwardingMachine has a namespace such as one inherits from a
// machine with Docker.
func TestStartNetworkOfAForwardingMachine(t *testing.T) {
	const path = "/proc/sys/net/ipv4/ip_forward"
	forwards := make(chan string, 1)
	go func() {
		defer close(forwards)
		runtime.LockOSThread() // and never unlocked: the thread ends in the new namespace
		for _, err := range []error{
			unix.Unshare(unix.CLONE_NEWNET),
			os.WriteFile(path, []byte("1"), 0),
			sandbox.StartNetwork(),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		forwards <- string(text)
	}()
	if got := <-forwards; got != "0\n" {
		t.Errorf("ip_forward is %q", got)
	}
}

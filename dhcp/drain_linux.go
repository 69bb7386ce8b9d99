package dhcp

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/pause"
)

// drainTime bounds the wait until a message has left: the kernel asks three times
// for the server's MAC, once a second, but a server that is there answers at once.
const drainTime = time.Second

// drain waits until the kernel holds nothing any more of what was sent. A
// datagram to a neighbour that is not known yet waits inside the kernel, as does
// a frame in a queue, and would be lost with the interface.
func (f *frameConn) drain(ctx context.Context) error {
	raw, err := f.SyscallConn()
	if f.server == nil {
		raw, err = f.routed.SyscallConn()
	}
	if err != nil {
		return err
	}
	end := time.Now().Add(drainTime)
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 10*time.Millisecond) {
		left := 0
		if err := raw.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
			return err
		}
		switch {
		case err != nil:
			return fmt.Errorf("dhcp: %w", os.NewSyscallError("SIOCOUTQ", err))
		case left == 0:
			return nil
		case time.Now().After(end):
			return errs.New(os.ErrDeadlineExceeded, "dhcp: the server could not be reached within %v", drainTime)
		}
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
}

package ns

import (
	"context"

	"github.com/go-pipework/pipework/internal/fault"
)

// Start starts cmd with this network namespace as its own, and returns once it
// runs; the caller waits for it with cmd.Wait, and ends it by the context that
// exec.CommandContext gave it. Everything else is the caller's: user, files, and
// mounts, so that the program sees the host's files, and under /sys/class/net the
// host's interfaces (/proc/net shows the guest's). iproute2 uses neither; for
// another view of files set cmd.SysProcAttr. Its Pdeathsig must not be set: it
// would be sent when the thread that entered the namespace ends. Needs what
// [Handle.Do] needs.
func (h *Handle) Start(ctx context.Context, cmd Command) error {
	return h.Do(ctx, func() error {
		if err := fault.Step(ctx, "start program"); err != nil {
			return err
		}
		return cmd.Start() // a child has the namespaces of the thread that forks it
	})
}

// Exec is [Handle.Start], and waits for the end of the program: an exit status
// other than 0 is an *exec.ExitError.
func (h *Handle) Exec(ctx context.Context, cmd Command) error {
	if err := h.Start(ctx, cmd); err != nil {
		return err
	}
	return cmd.Wait()
}

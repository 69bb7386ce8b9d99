package ns

import "context"

// A Target finds one guest. Implementations are values that can be opened any
// number of times.
type Target interface {
	// Open finds the guest and holds its namespace open. What is not there
	// (no such container, process, path or name; a container that does not
	// run) is an error that satisfies fs.ErrNotExist, a lack of privilege one
	// that satisfies fs.ErrPermission. It returns by the end of ctx.
	Open(ctx context.Context) (*Guest, error)
}

// PID is the guest that the process with this number runs in, as seen from the
// caller's PID namespace. Opening it needs CAP_SYS_PTRACE over that process
// (root has it).
type PID int

// Path is the guest whose network namespace is the file at this path, such as
// /run/netns/blue, /proc/1234/ns/net, or Docker's SandboxKey.
type Path string

// Named is the guest that `ip netns add` gave this name; see ip-netns(8).
type Named string

var (
	_ Target = PID(0)
	_ Target = Path("")
	_ Target = Named("")
)

// Package ns finds guests and works in their network namespaces.
//
// A [Target] says how to find a guest: by [PID], by [Path], by the name that
// ip-netns(8) gave it ([Named]), or through a container runtime (package
// ns/docker and its siblings; ns/find takes the names that people type). Opening
// a Target gives a [Guest], which holds the namespace open until it is closed, and
// through which netlink connections and sockets are opened inside. No thread of the program is ever left in another
// namespace.
//
// Opening another process's namespace needs CAP_SYS_PTRACE over it, entering
// one CAP_SYS_ADMIN, changing anything inside CAP_NET_ADMIN; root has them all.
//
// The package works on Linux 5.3 and later; elsewhere every call answers
// errors.ErrUnsupported.
package ns

package ns

import "fmt"

// An Inode tells network namespaces apart while both are held open: the device
// and inode number of the namespace's file. The kernel reuses inode numbers,
// so an Inode says nothing about a namespace that nobody holds any more.
type Inode struct {
	Dev, Ino uint64
}

// String prints the namespace as /proc does: net:[4026531840].
func (id Inode) String() string { return fmt.Sprintf("net:[%d]", id.Ino) }

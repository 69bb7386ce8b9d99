package ns

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
)

// BootID tells this boot of the machine from all others; "" where nothing does.
func BootID() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}

// soNetnsCookie is SO_NETNS_COOKIE of asm-generic/socket.h (Linux 5.14).
const soNetnsCookie = 71

// Cookie tells the namespace from all others until the next boot; 0 before Linux 5.14.
func (c *Conn) Cookie() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	cookie, err := unix.GetsockoptUint64(c.fd, unix.SOL_SOCKET, soNetnsCookie)
	if err != nil {
		return 0
	}
	return cookie
}

// Open opens the namespace by what keeps it. Where nothing does that can be seen, or too
// little is known of it, the error satisfies fs.ErrNotExist.
func (i Instance) Open(ctx context.Context) (*Guest, error) {
	if !i.Proven() || i.Boot != BootID() {
		return nil, i.gone()
	}
	s := search{Instance: i, mounts: map[string]bool{}}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	for _, process := range append([]string{"/proc/self"}, processes...) {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if g := s.process(ctx, process); g != nil {
			return g, nil
		}
	}
	return nil, i.gone()
}

func (i Instance) gone() error {
	return errs.New(fs.ErrNotExist, "the network namespace %s is gone", i)
}

// A search looks for a namespace at each process.
type search struct {
	Instance
	mounts map[string]bool // mount namespaces that were looked at
}

// process is the namespace by the process with this directory in /proc, or nil. It may end
// meanwhile, and its files may be others.
func (s search) process(ctx context.Context, dir string) *Guest {
	paths := []string{dir + "/ns/net"}
	files, _ := os.ReadDir(dir + "/fd")
	for _, f := range files {
		paths = append(paths, dir+"/fd/"+f.Name())
	}
	for _, path := range append(paths, s.mounted(dir)...) {
		if text, err := os.Readlink(path); err == nil && text != s.Inode.String() {
			continue // a mount is no link
		}
		if g := s.open(ctx, path); g != nil {
			return g
		}
	}
	return nil
}

// mounted are the places where the process sees the namespace mounted.
func (s search) mounted(dir string) (paths []string) {
	space, err := os.Readlink(dir + "/ns/mnt")
	if err != nil || s.mounts[space] {
		return nil
	}
	s.mounts[space] = true
	text, _ := os.ReadFile(dir + "/mountinfo")
	for line := range strings.Lines(string(text)) {
		// As in proc_pid_mountinfo(5): ID, parent, device, root, where.
		if f := strings.Fields(line); len(f) > 4 && f[3] == s.Inode.String() {
			paths = append(paths, dir+"/root"+unescape(f[4]))
		}
	}
	return paths
}

// unescape reads what the kernel writes as \040.
func unescape(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		if len(s) >= 4 && s[0] == '\\' {
			if c, err := strconv.ParseUint(s[1:4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				s = s[4:]
				continue
			}
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String()
}

// open is the namespace at this path, if it is the one.
func (s search) open(ctx context.Context, path string) *Guest {
	g, err := Path(path).Open(ctx)
	if err != nil {
		return nil
	}
	if g.Inode() == s.Inode {
		c, err := g.Conn(ctx)
		if err == nil {
			same := c.Cookie() == s.Cookie
			if err = c.Close(); same && err == nil {
				return g
			}
		}
	}
	_ = g.Close()
	return nil
}

package dhcp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// WriteResolvConf writes the lease's name servers and search domains into the
// resolv.conf at path, for the interface called name: what was there becomes
// comments, which a nil lease turns back, to the byte. A lease that names no
// server leaves the file as it was.
//
// The file must exist, and is written in place: runtimes mount it into their
// containers. Links are not followed; a path through /proc/PID/root never leads
// out of that process's root, whatever links it has put there. undo puts back
// what was there before the call.
func WriteResolvConf(ctx context.Context, path, name string, l *Lease) (undo func(context.Context) error, err error) {
	if err := fault.Step(ctx, "dhcp resolv.conf"); err != nil {
		return nil, err
	}
	var before []byte
	err = edit(path, func(old []byte) []byte {
		before = old
		return resolvConf(old, name, l)
	})
	if err != nil {
		return nil, fmt.Errorf("dhcp: write %s: %w", path, err)
	}
	return func(context.Context) error { return edit(path, func([]byte) []byte { return before }) }, nil
}

// resolvConf is the file with the interface's lines replaced by the lease's. They
// stand between two comments: resolvers know no comment at the end of a line.
func resolvConf(old []byte, name string, l *Lease) []byte {
	was, begin, end := "#pipework "+name+"# ", "#pipework "+name+" begins\n", "#pipework "+name+" ends\n"
	var original []string
	ours := false
	for line := range strings.Lines(string(old)) {
		switch kept, commented := strings.CutPrefix(line, was); {
		case line == begin, line == end:
			ours = line == begin
		case commented:
			original = append(original, kept)
		case !ours:
			original = append(original, line)
		}
	}
	if l == nil || len(l.DNS) == 0 {
		return []byte(strings.Join(original, ""))
	}
	var b bytes.Buffer
	b.WriteString(begin)
	for _, server := range l.DNS {
		fmt.Fprintf(&b, "nameserver %s\n", server)
	}
	search := l.Search
	if len(search) == 0 && l.Domain != "" {
		search = []string{l.Domain}
	}
	if len(search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(search, " "))
	}
	b.WriteString(end)
	for _, line := range original {
		b.WriteString(was + line)
	}
	return b.Bytes()
}

// maxResolvConf bounds what is read: the file may be a guest's.
const maxResolvConf = 64 << 10

var inRoot = regexp.MustCompile(`^(/proc/\d+/root)/(.+)$`)

// edit replaces the content of a regular file.
func edit(path string, change func([]byte) []byte) error {
	f, err := openPlain(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxResolvConf {
		return errs.New(fs.ErrInvalid, "no regular file, or longer than %d bytes", maxResolvConf)
	}
	old, err := io.ReadAll(io.LimitReader(f, maxResolvConf))
	if err != nil {
		return err
	}
	changed := change(old)
	if bytes.Equal(old, changed) {
		return nil
	}
	if _, err := f.WriteAt(changed, 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(changed)))
}

func openPlain(path string) (*os.File, error) {
	m := inRoot.FindStringSubmatch(path)
	if m == nil {
		return os.OpenFile(path, os.O_RDWR|noFollow, 0)
	}
	root, err := os.OpenRoot(m[1])
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	return root.OpenFile(m[2], os.O_RDWR|nonBlock, 0)
}

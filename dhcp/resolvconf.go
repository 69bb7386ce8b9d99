package dhcp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// WriteResolvConf writes the lease's name servers and search domains into the
// resolv.conf at path, for the interface called name: what was there becomes
// comments, which a nil lease turns back, to the byte. A lease that names no
// server only takes away what an earlier lease of its family wrote. The servers of
// an IPv4 and of an IPv6 lease stand one after the other; of two lists of domains
// resolvers take IPv4's, which is the last.
//
// The file must exist, and is written in place: runtimes mount it into their
// containers. Links are not followed, but in a path through /proc/PID/root: there they never
// lead out of that process's root, and only to files of the links' own owners. What is on a
// file system of the kernel's, such as /proc/sys, is refused. undo puts back what was there
// before the call.
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

// A confParts is a resolv.conf taken apart: the lines that were there before, and
// what the leases of one interface wrote.
type confParts struct {
	original []string
	leased   map[Family][]string
}

// written are the families in the order of the file.
var written = [...]Family{IPv6, IPv4}

// comments are what stands before a line that was there, and around the lines of
// one family's lease. Resolvers know no comment at the end of a line.
func comments(name string, f Family) (was, begin, end string) {
	of := "#pipework " + name
	was = of + "# "
	if f != IPv4 {
		of += " " + string(f)
	}
	return was, of + " begins\n", of + " ends\n"
}

func takeApart(old []byte, name string) confParts {
	p := confParts{leased: map[Family][]string{}}
	inside, ours := IPv4, false
	for line := range strings.Lines(string(old)) {
		mark := false
		for _, f := range written {
			if _, begin, end := comments(name, f); line == begin || line == end {
				inside, ours, mark = f, line == begin, true
			}
		}
		was, _, _ := comments(name, IPv4)
		switch kept, commented := strings.CutPrefix(line, was); {
		case mark:
		case commented:
			p.original = append(p.original, kept)
		case ours:
			p.leased[inside] = append(p.leased[inside], line)
		default:
			p.original = append(p.original, line)
		}
	}
	return p
}

// resolvConf is the file with what the lease says in it.
func resolvConf(old []byte, name string, l *Lease) []byte {
	p := takeApart(old, name)
	if l == nil {
		p.leased = nil
	} else {
		p.leased[l.family()] = confLines(l)
	}
	var b bytes.Buffer
	for _, f := range written {
		if lines := p.leased[f]; len(lines) > 0 {
			_, begin, end := comments(name, f)
			b.WriteString(begin + strings.Join(lines, "") + end)
		}
	}
	was, _, _ := comments(name, IPv4)
	if b.Len() == 0 {
		was = ""
	}
	for _, line := range p.original {
		b.WriteString(was + line)
	}
	return b.Bytes()
}

// family is the lease's.
func (l *Lease) family() Family {
	if l.Addr.Addr().Is6() {
		return IPv6
	}
	return IPv4
}

// confLines are the lines for a lease; none where it names no server.
func confLines(l *Lease) (lines []string) {
	for _, server := range l.DNS {
		lines = append(lines, fmt.Sprintf("nameserver %s\n", server))
	}
	search := l.Search
	if len(search) == 0 && l.Domain != "" {
		search = []string{l.Domain}
	}
	if len(lines) > 0 && len(search) > 0 {
		lines = append(lines, fmt.Sprintf("search %s\n", strings.Join(search, " ")))
	}
	return lines
}

// maxResolvConf bounds what is read: the file may be a guest's.
const maxResolvConf = 64 << 10

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

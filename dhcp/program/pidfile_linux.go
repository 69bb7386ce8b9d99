package program

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/ns"
)

// runDir is where the classic tool had its pid files: /var/run.
const runDir = "/run"

// pidPath is the classic name, udhcpc.web.pid; of another interface than the
// default one udhcpc.web.eth2.pid, since a guest may have several.
func pidPath(program string, at *pipework.Attachment) string {
	name := program + "." + strings.ReplaceAll(at.Guest.Name, "/", "_")
	if at.Name != pipework.DefaultName {
		name += "." + at.Name
	}
	return filepath.Join(runDir, name+".pid")
}

// A pidFile is the program's own from before it is started until it has ended.
type pidFile struct{ file *os.File }

// createPidFile makes the file, which must not be another running program's. Where
// a guest of the same name has the classic one, its name tells the namespace, too.
func createPidFile(g *ns.Guest, program string, at *pipework.Attachment) (*pidFile, error) {
	s := suspect{program, at.Name, g}
	classic := pidPath(program, at)
	own := fmt.Sprintf("%s.%d.pid", strings.TrimSuffix(classic, ".pid"), g.Inode().Ino)
	for _, path := range []string{classic, own} {
		if pid, err := readPid(path); err == nil && s.is(pid) {
			return nil, s.taken(path)
		}
	}
	if pid, err := readPid(classic); err != nil || !s.named(pid) {
		p, err := lockPidFile(classic)
		if err != nil || p != nil {
			return p, err
		}
		if !s.anothers(classic) {
			return nil, s.taken(classic)
		}
	}
	p, err := lockPidFile(own)
	if err == nil && p == nil {
		err = s.taken(own)
	}
	return p, err
}

func (s suspect) taken(path string) error {
	return errs.New(fs.ErrExist, "%s keeps the lease of %s already (%s): pipework detach ends it", s.program, s.ifname, path)
}

// startTime is how long a program that is being started may take to have a number.
const startTime = time.Second

// anothers says whether a file that is locked is of a program in another guest.
func (s suspect) anothers(path string) bool {
	for end := time.Now().Add(startTime); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if pid, err := readPid(path); err == nil {
			return !s.is(pid)
		}
	}
	return false
}

// lockPidFile makes the file, or takes one that nobody has locked; nil: somebody has.
func lockPidFile(path string) (*pidFile, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return nil, err
		}
		p := &pidFile{f}
		// The lock is the open file's, and ends with this process.
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			_ = f.Close()
			return nil, nil
		}
		if p.there() { // and was not removed before it was locked
			return p, nil
		}
		_ = f.Close()
	}
}

func (p *pidFile) write(pid int) error {
	return errors.Join(p.file.Truncate(0), second(p.file.WriteAt([]byte(strconv.Itoa(pid)+"\n"), 0)))
}

func second[T any](_ T, err error) error { return err }

// there says whether the file has not been removed.
func (p *pidFile) there() bool {
	mine, err1 := p.file.Stat()
	now, err2 := os.Lstat(p.file.Name())
	return err1 == nil && err2 == nil && os.SameFile(mine, now)
}

// remove removes the file, unless it is another's already.
func (p *pidFile) remove() {
	if p.there() {
		_ = os.Remove(p.file.Name())
	}
	_ = p.file.Close()
}

func readPid(path string) (int, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil && pid < 2 {
		err = fs.ErrInvalid
	}
	return pid, err
}

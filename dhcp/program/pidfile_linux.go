package program

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

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

// createPidFile makes the file, which must not be another running program's.
func createPidFile(g *ns.Guest, program string, at *pipework.Attachment) (*pidFile, error) {
	path := pidPath(program, at)
	taken := errs.New(fs.ErrExist, "%s keeps the lease of %s already (%s): pipework detach ends it", program, at.Name, path)
	if pid, err := readPid(path); err == nil && (suspect{program, at.Name, g}).is(pid) {
		return nil, taken
	}
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return nil, err
		}
		p := &pidFile{f}
		// The lock is the open file's, and ends with this process.
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			_ = f.Close()
			return nil, taken
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

//go:build linux

package lanes

import (
	"bufio"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-pipework/pipework/internal/lanes/guest"
	"golang.org/x/sys/unix"
)

// writeInitramfs writes the file that a guest's kernel starts from: this very program
// as /init, a console, and the modules early with all they need.
func writeInitramfs(name, modules string, early []string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	buffer := bufio.NewWriter(file)
	a := &archive{w: buffer, names: make(map[string]bool)}
	a.device("dev/console", 5, 1)
	if err := addInit(a); err != nil {
		return err
	}
	if err := addModules(a, modules, early); err != nil {
		return err
	}
	a.end()
	if a.err != nil {
		return a.err
	}
	if err := buffer.Flush(); err != nil {
		return err
	}
	return file.Close()
}

func addInit(a *archive) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := static(self); err != nil {
		return err
	}
	return a.copyFile("init", self, 0o755)
}

// static says whether the program name needs no other file to run.
func static(name string) error {
	file, err := elf.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically: build it with CGO_ENABLED=0", name)
		}
	}
	return nil
}

func addModules(a *archive, dir string, early []string) error {
	if len(early) == 0 {
		return nil
	}
	mods, err := guest.ReadModules(dir)
	if err != nil {
		return err
	}
	root := strings.TrimPrefix(guest.EarlyModules, "/")
	for _, name := range early {
		files, err := mods.Files(name)
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := a.copyFile(path.Join(root, file), filepath.Join(mods.Dir(), file), 0o644); err != nil {
				return err
			}
		}
	}
	if err := a.copyFile(path.Join(root, "modules.dep"), filepath.Join(mods.Dir(), "modules.dep"), 0o644); err != nil {
		return err
	}
	list := strings.Join(early, "\n") + "\n"
	a.file(strings.TrimPrefix(guest.EarlyList, "/"), 0o644, []byte(list))
	return nil
}

// An archive is a cpio archive of the "newc" kind, as the kernel describes it in
// Documentation/driver-api/early-userspace/buffer-format.rst. It remembers its first
// error.
type archive struct {
	w       io.Writer
	names   map[string]bool // of what is in it
	written int
	inode   int
	err     error
}

// copyFile adds the host's file from under the name name, once.
func (a *archive) copyFile(name, from string, perm uint32) error {
	if a.names[name] {
		return nil
	}
	a.names[name] = true
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	a.file(name, perm, text)
	return nil
}

func (a *archive) file(name string, perm uint32, text []byte) {
	a.parents(name)
	a.header(name, unix.S_IFREG|perm, 0, len(text))
	a.write(text)
	a.pad()
}

func (a *archive) device(name string, major, minor uint32) {
	a.parents(name)
	a.header(name, unix.S_IFCHR|0o600, unix.Mkdev(major, minor), 0)
}

// parents adds the folders above name that are not there yet.
func (a *archive) parents(name string) {
	dir := path.Dir(name)
	if dir == "." || a.names[dir] {
		return
	}
	a.parents(dir)
	a.names[dir] = true
	a.header(dir, unix.S_IFDIR|0o755, 0, 0)
}

func (a *archive) end() { a.header("TRAILER!!!", 0, 0, 0) }

func (a *archive) header(name string, mode uint32, device uint64, size int) {
	a.inode++
	a.write(fmt.Appendf(nil, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, 1, 0, size, 0, 0, unix.Major(device), unix.Minor(device), len(name)+1, 0, name))
	a.pad()
}

// pad fills up to a multiple of four bytes.
func (a *archive) pad() { a.write(make([]byte, -a.written&3)) }

func (a *archive) write(b []byte) {
	if a.err != nil {
		return
	}
	n, err := a.w.Write(b)
	a.written += n
	a.err = err
}

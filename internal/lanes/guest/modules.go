//go:build linux

package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Where the initramfs keeps the modules it brings along and the names of those to load.
const (
	EarlyModules = "/modules"
	EarlyList    = "/modules/load"
)

// Modules is a tree of kernel modules, as depmod has described it in modules.dep.
type Modules struct {
	dir  string
	path map[string]string   // module name to file, relative to dir
	deps map[string][]string // file to the files it needs, the innermost last
}

// ReadModules reads the tree in dir, a folder such as /lib/modules, which holds one
// folder per kernel release or the tree itself.
func ReadModules(dir string) (*Modules, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*", "modules.dep"))
	if err != nil {
		return nil, err
	}
	found = append(found, filepath.Join(dir, "modules.dep"))
	file, err := os.Open(found[0])
	if err != nil {
		return nil, fmt.Errorf("kernel modules: %w", err)
	}
	defer file.Close()

	m := &Modules{filepath.Dir(found[0]), make(map[string]string), make(map[string][]string)}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		path, deps, _ := strings.Cut(lines.Text(), ":")
		m.path[moduleName(path)] = path
		m.deps[path] = strings.Fields(deps)
	}
	return m, lines.Err()
}

// moduleName is what the kernel calls the module in the file path.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// Dir is the folder that file names are relative to.
func (m *Modules) Dir() string { return m.dir }

// Files lists the files of the module name in the order they are to be loaded. For a
// module that is not there, or is built into the kernel, errors.Is(err,
// fs.ErrNotExist) holds.
func (m *Modules) Files(name string) ([]string, error) {
	path, ok := m.path[strings.ReplaceAll(name, "-", "_")]
	if !ok {
		return nil, fmt.Errorf("kernel module %s: %w", name, fs.ErrNotExist)
	}
	var files []string
	for i := len(m.deps[path]) - 1; i >= 0; i-- {
		files = append(files, m.deps[path][i])
	}
	return append(files, path), nil
}

// Load loads a module and what it needs into the running kernel. What is the module's
// name, followed by its parameters if it gets any: "dummy numdummies=0". Load needs
// CAP_SYS_MODULE.
func (m *Modules) Load(what string) error {
	name, params, _ := strings.Cut(what, " ")
	files, err := m.Files(name)
	if err != nil {
		return err
	}
	last := len(files) - 1
	for _, file := range files[:last] {
		if err := m.loadFile(file, ""); err != nil {
			return err
		}
	}
	return m.loadFile(files[last], params)
}

func (m *Modules) loadFile(path, params string) error {
	if err := finitModule(filepath.Join(m.dir, path), params); err != nil {
		return fmt.Errorf("load kernel module %s: %w", moduleName(path), err)
	}
	return nil
}

func finitModule(path, params string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	err = unix.FinitModule(int(file.Fd()), params, 0)
	if errors.Is(err, unix.EEXIST) { // loaded already
		return nil
	}
	return err
}

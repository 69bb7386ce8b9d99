//go:build linux

package lanes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A need is a Debian package and a file that tells whether it is installed: a path, or
// the name of a program.
type need struct{ pkg, file string }

// ErrMissing says that a lane's packages are not installed.
var ErrMissing = errors.New("not installed")

// Packages lists the Debian packages the lane needs.
func (l Lane) Packages() []string {
	var names []string
	for _, n := range l.needs {
		names = append(names, n.pkg)
	}
	return names
}

// Check says what the lane lacks on this machine and how to install it. Then
// errors.Is(err, ErrMissing) holds.
func (l Lane) Check() error {
	var missing []string
	for _, n := range l.needs {
		if !n.met() {
			missing = append(missing, n.pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	names := strings.Join(missing, " ")
	return fmt.Errorf("lane %s: %s %w: apt-get install -y --no-install-recommends %s",
		l.name, strings.Join(missing, ", "), ErrMissing, names)
}

func (n need) met() bool {
	if filepath.IsAbs(n.file) {
		_, err := os.Stat(n.file)
		return err == nil
	}
	_, err := program(n.file)
	return err == nil
}

// program finds the program name, also where only root's PATH leads.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("program %s: %w", name, fs.ErrNotExist)
}

// Package busybox finds a static busybox, of which tests make containers.
package busybox

import (
	"debug/elf"
	"errors"
	"os/exec"
	"path/filepath"
)

// Path is where a static busybox is: installed, or in the module's folder bin, where
// make unpacks one beside another that is installed.
func Path() (string, error) {
	for _, name := range []string{"busybox", "/usr/sbin/busybox", "bin/busybox", "../bin/busybox", "../../bin/busybox", "../../../bin/busybox"} {
		path, err := exec.LookPath(name)
		if err != nil || !isStatic(path) {
			continue
		}
		return filepath.Abs(path)
	}
	return "", errors.New("no static busybox here: apt-get install busybox-static, or make packages")
}

func isStatic(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}

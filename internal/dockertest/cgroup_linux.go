package dockertest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// cgroupParent is the control group under which an engine puts its containers'.
func cgroupParent(dir string) string { return "/" + filepath.Base(dir) }

// cgroupDirs lists the directories of a control group and of those in it, the
// innermost first: one tree in version 2, one a hierarchy in version 1.
func cgroupDirs(parent string) (dirs []string) {
	one, _ := filepath.Glob("/sys/fs/cgroup" + parent)
	many, _ := filepath.Glob("/sys/fs/cgroup/*" + parent)
	for _, top := range append(one, many...) {
		_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
	}
	slices.Reverse(dirs)
	return dirs
}

// thaw wakes paused containers: version 1 keeps even SIGKILL from them.
func thaw(parent string) {
	for _, dir := range cgroupDirs(parent) {
		state := filepath.Join(dir, "freezer.state")
		if _, err := os.Stat(state); err == nil {
			_ = os.WriteFile(state, []byte("THAWED"), 0)
		}
	}
}

// removeCgroups removes what is left of a control group. A group is busy for a
// moment after its last process has ended.
func removeCgroups(parent string, deadline time.Time) error {
	for {
		dirs := cgroupDirs(parent)
		if len(dirs) == 0 {
			return nil
		}
		var failed error
		for _, dir := range dirs {
			if err := os.Remove(dir); err != nil {
				failed = err
			}
		}
		if failed != nil && time.Now().After(deadline) {
			return fmt.Errorf("control groups stay: %w", failed)
		}
		time.Sleep(time.Millisecond)
	}
}

package runtimetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// groupEnv names the control group that the machine's processes are in.
const groupEnv = "PIPEWORK_RUNTIMETEST_GROUP"

// groupPrefix is what its name begins with; the PID of who removes it follows.
const groupPrefix = "pipework-test-"

// A hierarchy is one mounted tree of control groups.
type hierarchy struct {
	dir, fstype, options string
	own                  string // the path of this process's group in it
}

// hierarchies reads where control groups are mounted, and where we are in each.
func hierarchies() (all []hierarchy) {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		here, there, _ := strings.Cut(line, " - ")
		mount, super := strings.Fields(here), strings.Fields(there)
		if len(mount) < 5 || len(super) < 3 || super[0] != "cgroup" && super[0] != "cgroup2" || !strings.HasPrefix(mount[4], "/sys/fs/cgroup") {
			continue
		}
		h := hierarchy{dir: mount[4], fstype: super[0]}
		var own string
		for option := range strings.SplitSeq(super[2], ",") {
			if own = groupIn(option, super[0]); own != "" {
				h.options, h.own = option, own
				break
			}
		}
		if super[0] == "cgroup2" {
			h.options, h.own = "", groupIn("", super[0])
		}
		if h.own != "" {
			all = append(all, h)
		}
	}
	return all
}

// groupIn returns the path of our group in the hierarchy with this controller.
func groupIn(controller, fstype string) string {
	text, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		if fstype == "cgroup2" && parts[0] == "0" || controller != "" && slices.Contains(strings.Split(parts[1], ","), controller) {
			return parts[2]
		}
	}
	return ""
}

// enterGroups puts this process into a new group in every hierarchy.
func enterGroups(name string) ([]hierarchy, error) {
	all := hierarchies()
	for _, h := range all {
		parent := filepath.Join(h.dir, h.own)
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make a control group: %w", err)
		}
		for _, set := range []string{"cpuset.cpus", "cpuset.mems"} { // version 1 has none at first
			if text, err := os.ReadFile(filepath.Join(parent, set)); err == nil && h.fstype == "cgroup" {
				_ = os.WriteFile(filepath.Join(dir, set), text, 0)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0); err != nil {
			return nil, fmt.Errorf("enter control group %s: %w", dir, err)
		}
	}
	return all, nil
}

// removeGroups removes the group and those in it, which are busy for a moment
// after their last process.
func removeGroups(name string) {
	for _, h := range hierarchies() {
		top := filepath.Join(h.dir, h.own, name)
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
			removeTree(top)
			if _, err := os.Stat(top); err != nil {
				break
			}
		}
	}
}

// removeStale removes what was left by tests that were killed.
func removeStale() {
	for _, h := range hierarchies() {
		left, _ := filepath.Glob(filepath.Join(h.dir, h.own, groupPrefix+"*"))
		for _, dir := range left {
			pid := strings.TrimPrefix(filepath.Base(dir), groupPrefix)
			if _, err := os.Readlink("/proc/" + pid + "/exe"); err != nil { // ended, be it not yet reaped
				removeTree(dir)
			}
		}
	}
}

func removeTree(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeTree(filepath.Join(dir, e.Name()))
		}
	}
	_ = os.Remove(dir)
}

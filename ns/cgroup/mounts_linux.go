package cgroup

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
)

// mounts lists where control groups are mounted: version 2, and the hierarchy of
// version 1 that has the devices controller.
func mounts() ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("look for control groups: %w", err)
	}
	dirs := parse(string(text))
	if len(dirs) == 0 {
		return nil, errs.Absent(errors.ErrUnsupported, "no control groups are mounted here")
	}
	return dirs, nil
}

// parse reads mountinfo, see proc_pid_mountinfo(5): each file system counts once,
// where it was mounted first.
func parse(mountinfo string) (dirs []string) {
	seen := map[string]bool{}
	for line := range strings.Lines(mountinfo) {
		here, there, _ := strings.Cut(line, " - ")
		mount, super := strings.Fields(here), strings.Fields(there)
		if len(mount) < 5 || len(super) < 3 || seen[mount[2]] {
			continue
		}
		devices := super[0] == "cgroup" && slices.Contains(strings.Split(super[2], ","), "devices")
		if super[0] == "cgroup2" || devices {
			seen[mount[2]] = true
			dirs = append(dirs, unescape(mount[4]))
		}
	}
	return dirs
}

// unescape puts back the characters that mountinfo writes as \040.
func unescape(path string) string {
	if text, err := strconv.Unquote(`"` + strings.ReplaceAll(path, `"`, `\"`) + `"`); err == nil {
		return text
	}
	return path
}

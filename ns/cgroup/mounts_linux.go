package cgroup

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
)

// mounts lists where control groups are mounted: version 2, and the hierarchy of
// version 1 that has the devices controller.
func mounts() ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("look for control groups: %w", err)
	}
	var dirs []string
	seen := map[string]bool{}
	for _, m := range parse(string(text)) {
		if !seen[m.device] && m.visible() { // each file system once
			seen[m.device] = true
			dirs = append(dirs, m.dir)
		}
	}
	if len(dirs) == 0 {
		return nil, errs.Absent(errors.ErrUnsupported, "no control groups are mounted here")
	}
	return dirs, nil
}

// A mount is a mounted hierarchy, and its file system's device number.
type mount struct{ device, dir string }

// visible tells whether this mount is what is seen at its place.
func (m mount) visible() bool {
	var st unix.Stat_t
	err := unix.Stat(m.dir, &st)
	return err == nil && m.device == fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
}

// parse reads mountinfo, see proc_pid_mountinfo(5).
func parse(mountinfo string) (mounts []mount) {
	for line := range strings.Lines(mountinfo) {
		here, there, _ := strings.Cut(line, " - ")
		fields, super := strings.Fields(here), strings.Fields(there)
		if len(fields) < 5 || len(super) < 3 {
			continue
		}
		devices := super[0] == "cgroup" && slices.Contains(strings.Split(super[2], ","), "devices")
		if super[0] == "cgroup2" || devices {
			mounts = append(mounts, mount{fields[2], unescape(fields[4])})
		}
	}
	return mounts
}

// unescape puts back the characters that mountinfo writes as \040.
func unescape(path string) string {
	if text, err := strconv.Unquote(`"` + strings.ReplaceAll(path, `"`, `\"`) + `"`); err == nil {
		return text
	}
	return path
}

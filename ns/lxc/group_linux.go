package lxc

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// LXC makes a control group for a container's processes, and one for its monitor.
const (
	payload = "container"
	monitor = "monitor"
)

// inGroupOf says whether the process is in the control group that LXC makes for the
// container or its monitor: lxc.payload.NAME or lxc.monitor.NAME, or what
// lxc.cgroup.pattern in lxc.conf, or lxc.cgroup.dir.container or lxc.cgroup.dir.monitor in
// the container's config, says, and with -1 and so on after it where that was taken
// (lxc.container.conf(5)). Groups in it are the container's own.
func (t target) inGroupOf(pid int, dir, whose string) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return false
	}
	prefix := map[string]string{payload: "lxc.payload.", monitor: "lxc.monitor."}[whose]
	groups := []string{prefix + t.name, "lxc/" + t.name}
	if pattern := setting("/etc/lxc/lxc.conf", "lxc.cgroup.pattern"); strings.Contains(pattern, "%n") {
		groups = append(groups, strings.ReplaceAll(pattern, "%n", t.name))
	}
	if own := setting(filepath.Join(dir, t.name, "config"), "lxc.cgroup.dir."+whose); own != "" {
		groups = append(groups, own)
	}
	for line := range strings.Lines(string(text)) {
		if slices.ContainsFunc(groups, func(group string) bool { return isBelow(strings.TrimSpace(line), group) }) {
			return true
		}
	}
	return false
}

// isBelow says whether a line of /proc/PID/cgroup has the group in its path, or that with a
// number. What is in another container's group does not count: that one's root can make any
// group there.
func isBelow(line, group string) bool {
	_, path, ok := strings.Cut(line, ":/") // after the hierarchy and its controllers
	outer, rest, found := strings.Cut("/"+path+"/", "/"+strings.Trim(group, "/"))
	number, _, _ := strings.Cut(rest, "/")
	return ok && found && !strings.Contains(outer, "/lxc.payload.") && strings.HasPrefix(rest, number+"/") && (number == "" || number[0] == '-' && len(number) > 1 && strings.Trim(number[1:], "0123456789") == "")
}

// setting is the value of a key in a file of LXC's; "" where there is none.
func setting(file, key string) (value string) {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if k, v, is := strings.Cut(line, "="); is && strings.TrimSpace(k) == key {
			value = strings.TrimSpace(v)
		}
	}
	return value
}

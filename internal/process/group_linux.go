package process

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/charset"
)

// InGroup tells whether a process is in a control group for which match holds, or
// in one below it. match is given the path of a group, and those of its ancestors;
// see cgroups(7).
func InGroup(pid int, match func(path string) bool) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && slices.ContainsFunc(Groups(string(text)), match)
}

// Groups reads what is in /proc/PID/cgroup, one line a hierarchy: the paths of
// the groups and of all that they are in.
func Groups(text string) (paths []string) {
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) < 3 {
			continue
		}
		for path := parts[2]; len(path) > 1; path = path[:strings.LastIndexByte(path, '/')] {
			paths = append(paths, path)
			if !strings.Contains(path, "/") {
				break
			}
		}
	}
	return paths
}

// idLength is how many hexadecimal digits a container's full ID has.
const idLength = 64

// ContainerID is the full container ID that begins with these digits, from the name of a
// control group that the process is in; "" where no group is called so.
func ContainerID(pid int, begins string) (id string) {
	InGroup(pid, func(path string) bool {
		id = containerID(path, begins)
		return id != ""
	})
	return id
}

func containerID(path, begins string) string {
	notHex := func(r rune) bool { return r > 0x7f || !charset.Hex(byte(r)) }
	for _, word := range strings.FieldsFunc(path, notHex) {
		if len(word) == idLength && strings.HasPrefix(word, begins) {
			return word
		}
	}
	return ""
}

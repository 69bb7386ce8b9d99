package process

import (
	"os"
	"strconv"
)

// All are the processes of this machine, by their IDs. A pattern such as /proc/*/stat
// would read the directory of each.
func All() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

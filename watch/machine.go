package watch

import "os"

// Machine tells this machine from others, for [Watcher.Machine]: it is the content of
// /etc/machine-id, or else the host name.
func Machine() string {
	if id, err := os.ReadFile("/etc/machine-id"); err == nil {
		return string(id)
	}
	name, _ := os.Hostname()
	return name
}

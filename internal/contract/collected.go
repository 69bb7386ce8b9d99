//go:build linux

package contract

import "github.com/go-pipework/pipework/link"

// Names are those of what a Collect, or Orphans, tells.
func Names(all []link.Collected) (names []string) {
	for _, c := range all {
		names = append(names, c.Name)
	}
	return names
}

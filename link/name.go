package link

import (
	"fmt"
	"strings"
)

// ValidName says why the kernel would not take name as an interface's name
// (dev_valid_name), or would take it for something else: a pattern, or one of
// the sysctl folders "all" and "default".
func ValidName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("an interface needs a name")
	case len(name) > nameMax:
		return fmt.Errorf("interface name %q has %d characters: the kernel takes %d", name, len(name), nameMax)
	case name == ".", name == "..", name == "all", name == "default":
		return fmt.Errorf("%q cannot be an interface's name", name)
	}
	for _, r := range name {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune("/:%", r) {
			return fmt.Errorf("interface name %q contains %q", name, r)
		}
	}
	return nil
}

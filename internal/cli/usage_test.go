package cli

import (
	"strings"
	"testing"
)

func TestUsageNamesEveryOption(t *testing.T) {
	for _, word := range []string{
		"--direct-phys", "-i", "-l", "-a", "mac:", "0/0", "dhcp", "U:", "@vlan", "detach", "list", "check", "gc [--dry-run]", "--state-dir",
		"--json", "-v", "--forward", "--no-forward", "--help", "--version",
	} {
		if !strings.Contains(Usage, word) {
			t.Errorf("Usage does not mention %q", word)
		}
	}
}

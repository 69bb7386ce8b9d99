//go:build linux

package attacker_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatsHaveTests makes sure that docs/security.md names tests that there are, in the
// packages that it says.
func TestThreatsHaveTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(text)) {
		var names []string
		for _, m := range words.FindAllStringSubmatch(line, -1) {
			name, _, _ := strings.Cut(m[1], "/")
			switch {
			case strings.HasPrefix(m[1], "Test"), strings.HasPrefix(m[1], "Fuzz"):
				names = append(names, name)
			case m[1] == "." || strings.HasPrefix(m[1], "./"):
				for _, name := range names {
					if !hasTest(t, m[1], name) {
						t.Errorf("there is no %s in %s", name, m[1])
					}
				}
				names = nil
			}
		}
		if len(names) > 0 {
			t.Errorf("no package: %v", names)
		}
	}
}

func hasTest(t *testing.T, pkg, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), "func "+name+"(") {
			return true
		}
	}
	return false
}

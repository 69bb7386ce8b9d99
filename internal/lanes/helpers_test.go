//go:build linux

package lanes_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func isEmpty(t *testing.T, dir string) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries) == 0
}

// mentioning lists the processes that have word in their command line.
func mentioning(t *testing.T, word string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), word) {
			found = append(found, file)
		}
	}
	return found
}

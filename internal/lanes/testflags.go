//go:build linux

package lanes

import (
	"path/filepath"
	"strings"
)

// resultFlags are the flags by which go test has a test binary write a file.
var resultFlags = map[string]bool{
	"-test.blockprofile": true,
	"-test.coverprofile": true,
	"-test.cpuprofile":   true,
	"-test.memprofile":   true,
	"-test.mutexprofile": true,
	"-test.trace":        true,
}

// resultFiles are the files that a test binary with the arguments args writes, when it
// runs in the folder dir.
func resultFiles(args []string, dir string) []string {
	var files []string
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		switch {
		case !ok || value == "":
		case name == "-test.outputdir":
			dir = value
		case resultFlags[name]:
			files = append(files, value)
		}
	}
	for i, file := range files {
		if !filepath.IsAbs(file) {
			files[i] = filepath.Join(dir, file)
		}
	}
	return files
}

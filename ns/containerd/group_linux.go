package containerd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-pipework/pipework/internal/errs"
)

// groupOf returns a test for the control group that the bundle's config.json asks
// for (linux.cgroupsPath in the OCI runtime specification).
func groupOf(bundle, id string) (func(string) bool, error) {
	text, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.New(fs.ErrNotExist, "container %s of containerd is being removed", id)
	}
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", id, err)
	}
	var spec struct {
		Linux struct {
			CgroupsPath string `json:"cgroupsPath"`
		} `json:"linux"`
	}
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, fmt.Errorf("container %s: read its config.json: %w", id, err)
	}
	return group(spec.Linux.CgroupsPath, id), nil
}

// group reads cgroupsPath as runc does: a path, or SLICE:PREFIX:NAME for systemd's
// scope PREFIX-NAME.scope in that slice; without one runc takes the ID.
func group(cgroupsPath, id string) func(string) bool {
	parts := strings.Split(cgroupsPath, ":")
	switch {
	case cgroupsPath == "":
		return func(p string) bool { return path.Base(p) == id }
	case len(parts) == 3 && strings.HasSuffix(parts[2], ".slice"):
		return func(p string) bool { return path.Base(p) == parts[2] }
	case len(parts) == 3:
		scope := parts[1] + "-" + parts[2] + ".scope"
		return func(p string) bool { return path.Base(p) == scope || path.Base(p) == cgroupsPath }
	}
	end := path.Join("/", cgroupsPath)
	return func(p string) bool { return strings.HasSuffix(p, end) }
}

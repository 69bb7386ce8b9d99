package keep

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/go-pipework/pipework/link"
)

// Dir is dir, or where that is "" the directory that the variable PIPEWORK_STATE
// names, or else DefaultDir.
func Dir(dir string) string { return cmp.Or(dir, os.Getenv("PIPEWORK_STATE"), DefaultDir) }

// OpenDefault is [Open] of [Dir]. Where that is DefaultDir, and this user may not
// write there, it returns no Store, and a warning, for those who can do without.
func OpenDefault(dir string, kinds ...link.Kind) (s *Store, warnings []string, err error) {
	dir = Dir(dir)
	s, err = Open(dir, kinds...)
	if dir == DefaultDir && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		return nil, []string{fmt.Sprintf("nothing remembers this for after a restart: %v (--state-dir names another directory)", err)}, nil
	}
	return s, nil, err
}

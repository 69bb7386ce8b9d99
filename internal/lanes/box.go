//go:build linux

package lanes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-pipework/pipework/internal/lanes/guest"
)

// A box is the folder of one run, gone when the run is over.
type box struct{ dir string }

// newBox makes a box in the directory for temporary files.
func newBox() (box, error) {
	dir, err := os.MkdirTemp("", "pipework-lane-")
	if err != nil {
		return box{}, err
	}
	b := box{dir}
	if err := speakable(dir); err != nil {
		b.remove()
		return box{}, fmt.Errorf("directory for temporary files (set TMPDIR): %w", err)
	}
	if err := os.Mkdir(b.share(), 0o755); err != nil {
		b.remove()
		return box{}, err
	}
	return b, nil
}

func (b box) remove()           { _ = os.RemoveAll(b.dir) }
func (b box) share() string     { return filepath.Join(b.dir, "share") } // what host and guest talk through
func (b box) initramfs() string { return filepath.Join(b.dir, "initramfs") }
func (b box) console() string   { return filepath.Join(b.dir, "console") }

// speakable refuses paths that cannot be told to a kernel or to QEMU on their command
// lines.
func speakable(path string) error {
	if strings.ContainsAny(path, " \t\n\",") {
		return fmt.Errorf("%q has blanks, quotes or commas in it", path)
	}
	return nil
}

// done says whether the guest's program has ended.
func (b box) done() bool {
	_, err := os.Stat(filepath.Join(b.share(), guest.StatusFile))
	return err == nil
}

// collect puts the files that the guest has handed back where they belong.
func (b box) collect(results []string) error {
	for i, name := range results {
		text, err := os.ReadFile(filepath.Join(b.share(), guest.ResultFile(i)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

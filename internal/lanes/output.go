//go:build linux

package lanes

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-pipework/pipework/internal/lanes/guest"
)

// An output passes on what a program in the guest writes to its standard output and
// error.
type output struct{ streams []stream }

// A stream is a file that grows and where its contents go.
type stream struct {
	file *os.File
	to   io.Writer
}

func newOutput(b box, stdout, stderr io.Writer) (*output, error) {
	out := new(output)
	for name, to := range map[string]io.Writer{guest.StdoutFile: stdout, guest.StderrFile: stderr} {
		file, err := os.Create(filepath.Join(b.share(), name))
		if err != nil {
			out.close()
			return nil, err
		}
		if to == nil {
			to = io.Discard
		}
		out.streams = append(out.streams, stream{file, to})
	}
	return out, nil
}

// pass passes on what is new.
func (out *output) pass() error {
	for _, s := range out.streams {
		if _, err := io.Copy(s.to, s.file); err != nil {
			return fmt.Errorf("pass output on: %w", err)
		}
	}
	return nil
}

func (out *output) close() {
	var errs []error
	for _, s := range out.streams {
		errs = append(errs, s.file.Close())
	}
	_ = errors.Join(errs...)
}

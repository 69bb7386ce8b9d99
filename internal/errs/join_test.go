package errs_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/go-pipework/pipework/internal/errs"
)

func TestJoin(t *testing.T) {
	if err := errs.Join(nil, nil); err != nil {
		t.Error(err)
	}
	err := errs.Join(fs.ErrExist, nil, fs.ErrClosed)
	if err.Error() != "file already exists; file already closed" || !errors.Is(err, fs.ErrClosed) || !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
}

package errs_test

import (
	"errors"
	"io/fs"
	"strings"
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

// TestJoinIsBounded has more errors than anybody reads.
func TestJoinIsBounded(t *testing.T) {
	many := make([]error, 10_000)
	for i := range many {
		many[i] = fs.ErrExist
	}
	if text := errs.Join(many...).Error(); len(text) > 1000 || !strings.HasSuffix(text, "; 9969 more") {
		t.Errorf("%d bytes: %q", len(text), text[max(0, len(text)-100):])
	}
}

package config

import (
	"fmt"
	"strings"

	"github.com/go-pipework/pipework/internal/option"
)

// ErrUsage is what [errors.Is] finds in every error of this package: the words
// are wrong, and nothing was touched. It is never part of a message.
var ErrUsage = option.ErrUsage

// problems are all that is wrong with one command line.
type problems []error

// add notes err, unless it is nil.
func (p *problems) add(err error) {
	if err != nil {
		*p = append(*p, err)
	}
}

func (p *problems) addf(format string, args ...any) {
	p.add(fmt.Errorf(format, args...))
}

// err returns p as an error, nil when nothing is wrong.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Error returns all problems on one line.
func (p problems) Error() string {
	texts := make([]string, len(p))
	for i, err := range p {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Is reports whether target is ErrUsage.
func (p problems) Is(target error) bool { return target == ErrUsage }

// Unwrap returns the problems one by one.
func (p problems) Unwrap() []error { return p }

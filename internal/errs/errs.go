// Package errs makes one-line errors that carry a class: a message for
// people, and a sentinel (fs.ErrNotExist, fs.ErrExist, fs.ErrPermission,
// errors.ErrUnsupported) for errors.Is.
package errs

import "fmt"

type classed struct {
	class error
	error
}

func (e classed) Unwrap() []error { return []error{e.class, e.error} }

// New formats like fmt.Errorf, %w included, and makes the result satisfy
// errors.Is(err, class) without saying the class's own text.
func New(class error, format string, args ...any) error {
	return classed{class: class, error: fmt.Errorf(format, args...)}
}

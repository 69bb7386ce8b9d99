// Package errs makes one-line errors that carry a class: a message for
// people, and a sentinel (fs.ErrNotExist, fs.ErrExist, fs.ErrPermission,
// errors.ErrUnsupported) for errors.Is.
package errs

import (
	"errors"
	"fmt"
	"io/fs"
)

// Classes that tell a lookup by name why a runtime does not have the guest, or does not say.
// They go beside a standard class, and are for package ns/find alone.
var (
	// ErrUnknown: the runtime is there and knows nobody of this name.
	ErrUnknown = errors.New("unknown to the runtime")
	// ErrAbsent: this machine does not have the runtime.
	ErrAbsent = errors.New("runtime not on this machine")
	// ErrNoAddress: what is set as the runtime's address is none, so that nobody can be asked.
	ErrNoAddress = errors.New("no address of a runtime")
	// ErrUnasked: another setting keeps the runtime from being asked.
	ErrUnasked = errors.New("runtime not asked")
)

// ErrStale is the class of an attach to an interface that only recreating it puts right, where
// the Spec may not say all that it has: an update by one that does recreates it. It goes beside
// fs.ErrExist.
var ErrStale = errors.New("to be recreated")

// ErrCommonLock is the class of a lock that others than root may hold, such as a guest: there is
// no use in waiting for it longer.
var ErrCommonLock = errors.New("lock that everybody can hold")

// Unknown is an error that satisfies [ErrUnknown] and fs.ErrNotExist.
func Unknown(format string, args ...any) error {
	return classed{class: ErrUnknown, error: New(fs.ErrNotExist, format, args...)}
}

// NoName is an error that satisfies [ErrUnknown] and fs.ErrInvalid: nobody could
// be called so, and nothing was looked at.
func NoName(format string, args ...any) error {
	return classed{class: ErrUnknown, error: New(fs.ErrInvalid, format, args...)}
}

// Absent is an error that satisfies [ErrAbsent] and class.
func Absent(class error, format string, args ...any) error {
	return classed{class: ErrAbsent, error: New(class, format, args...)}
}

// NoAddress is an error that satisfies [ErrNoAddress] and fs.ErrInvalid.
func NoAddress(format string, args ...any) error {
	return classed{class: ErrNoAddress, error: New(fs.ErrInvalid, format, args...)}
}

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

// Stopped is the error of a guest that its runtime knows, and that does not run.
type Stopped struct {
	ID string // the runtime's full one
	error
}

// StoppedAs is an error that satisfies fs.ErrNotExist, and tells the guest's ID.
func StoppedAs(id, format string, args ...any) error {
	return Stopped{ID: id, error: New(fs.ErrNotExist, format, args...)}
}

// Unwrap is the class.
func (s Stopped) Unwrap() error { return s.error }

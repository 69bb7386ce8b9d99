// Package stage classifies the errors of package pipework by the stage that they came
// up in.
package stage

import (
	"errors"
	"io/fs"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/errs"
)

// Is says whether err came up in this stage of an attach, detach or check.
func Is(err error, stage pipework.Stage) bool {
	e, ok := errors.AsType[*pipework.Error](err)
	return ok && e.Stage == stage
}

// NoInterface says that err is of a guest that has no such interface.
func NoInterface(err error) bool {
	return Is(err, pipework.StageInterface) && errors.Is(err, fs.ErrNotExist)
}

// NoGuest says that err is of a guest that is not there, or does not run.
func NoGuest(err error) bool { return Is(err, pipework.StageGuest) && errors.Is(err, fs.ErrNotExist) }

// Stale says that err is of an attach to an interface that has to be recreated, by a Spec that
// may not say all that it has: pipework.Update by one that does recreates it.
func Stale(err error) bool { return errors.Is(err, errs.ErrStale) }

// Retryable says whether the same attempt may succeed later: a bridge may yet be made, a
// server answer, a name become free. What is wrong, forbidden or not to be had on this
// kernel stays so.
func Retryable(err error) bool {
	return !errors.Is(err, config.ErrUsage) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported)
}

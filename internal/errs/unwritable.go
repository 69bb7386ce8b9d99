package errs

import (
	"errors"
	"syscall"
)

// IsUnwritable says that nothing can be written where the error comes from: the file system is
// read-only, or full.
func IsUnwritable(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

package errs

import (
	"slices"
	"strings"
)

// Join is errors.Join on one line.
func Join(all ...error) error {
	all = slices.DeleteFunc(slices.Clone(all), func(err error) bool { return err == nil })
	if len(all) == 0 {
		return nil
	}
	return &joined{all}
}

type joined struct{ all []error }

// Error tells them all.
func (j *joined) Error() string {
	var texts []string
	for _, err := range j.all {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns them.
func (j *joined) Unwrap() []error { return j.all }

package errs

import (
	"slices"
	"strings"

	"github.com/go-pipework/pipework/internal/told"
)

// Join is errors.Join on one line, which tells the first of many.
func Join(all ...error) error {
	all = slices.DeleteFunc(slices.Clone(all), func(err error) bool { return err == nil })
	if len(all) == 0 {
		return nil
	}
	return &joined{all}
}

type joined struct{ all []error }

// Error tells them; of many, which a guest may have made, the first ones.
func (j *joined) Error() string {
	var texts []string
	for _, err := range j.all {
		texts = append(texts, err.Error())
	}
	return strings.Join(told.Of(texts), "; ")
}

// Unwrap returns them.
func (j *joined) Unwrap() []error { return j.all }

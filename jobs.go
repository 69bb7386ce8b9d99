package pipework

import (
	"context"
	"fmt"
	"strings"
)

// A Job is one interface of those that AttachAll and DetachAll deal with.
type Job struct {
	Target Target
	Spec   Spec
}

// AttachAll plugs many interfaces in, with the same result as an [Attach] of each
// job in turn, but sooner: guests are worked on at the same time, connections are
// shared, and a backend that is a link.BatchPlugger, such as ovs.Bridge, does them
// together. Jobs of the same guest go one after the other, in their order.
//
// Each job succeeds or fails on its own: one that fails is undone, as by Attach,
// and the others are complete. Item i of the result is the Attachment of jobs[i],
// nil where that failed; the error is of type [JobErrors] then.
func AttachAll(ctx context.Context, jobs []Job) ([]*Attachment, error) {
	return new(Attacher).AttachAll(ctx, jobs)
}

// DetachAll unplugs many interfaces, with the same result as a [Detach] of each
// job in turn, but much sooner: the kernel removes the pairs of many guests at
// once, where each would have waited for a grace period. Each job succeeds or fails
// on its own; the error is of type [JobErrors] where one failed. Item i of the result
// says whether the guest of jobs[i] had the interface.
func DetachAll(ctx context.Context, jobs []Job) (found []bool, err error) {
	return new(Attacher).DetachAll(ctx, jobs)
}

// JobErrors are the errors of jobs, each in the place of its job; nil is a job
// that is done. errors.Is and errors.As look at all of them.
type JobErrors []error

// maxTold bounds how many errors are told in full.
const maxTold = 8

// Error tells how many jobs failed, which, and why, on one line.
func (e JobErrors) Error() string {
	var told []string
	failed := 0
	for i, err := range e {
		if err == nil {
			continue
		}
		if failed++; failed <= maxTold {
			told = append(told, fmt.Sprintf("jobs[%d]: %v", i, err))
		}
	}
	if failed > maxTold {
		told = append(told, fmt.Sprintf("and %d more", failed-maxTold))
	}
	return fmt.Sprintf("%d of %d jobs failed: %s", failed, len(e), strings.Join(told, "; "))
}

// Unwrap lists the errors of the jobs that failed.
func (e JobErrors) Unwrap() []error {
	var list []error
	for _, err := range e {
		if err != nil {
			list = append(list, err)
		}
	}
	return list
}

// orNil is nil where no job failed.
func (e JobErrors) orNil() error {
	if len(e.Unwrap()) == 0 {
		return nil
	}
	return e
}

//go:build linux

package contract

import (
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
)

// attach attaches, and fails the test where there is an error or a warning.
func attach(t *testing.T, target pipework.Target, s pipework.Spec) *pipework.Attachment {
	t.Helper()
	at, err := pipework.Attach(t.Context(), target, s)
	return faultless(t, at, err)
}

func update(t *testing.T, target pipework.Target, s pipework.Spec) *pipework.Attachment {
	t.Helper()
	at, err := pipework.Update(t.Context(), target, s)
	return faultless(t, at, err)
}

func faultless(t *testing.T, at *pipework.Attachment, err error) *pipework.Attachment {
	t.Helper()
	if err != nil {
		t.Error(err)
		return new(pipework.Attachment)
	}
	for _, w := range at.Warnings {
		if !strings.Contains(w, "this kernel lacks") && !strings.Contains(w, "which ends with its guest") { // another one's lane has it; a NIC of software
			t.Error("warning:", w)
		}
	}
	return at
}

func detach(t *testing.T, target pipework.Target, s pipework.Spec) {
	t.Helper()
	if _, err := pipework.Detach(t.Context(), target, s); err != nil {
		t.Error(err)
	}
}

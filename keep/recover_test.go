package keep_test

import (
	"testing"

	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// TestRecoverWithoutRecords has a Plugger that keeps no records: nothing is left of a
// killed call.
func TestRecoverWithoutRecords(t *testing.T) {
	if r, err := new(keep.Plugger).Recover(t.Context(), ns.ParseRef("docker:web"), "eth1"); r != nil || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

package rtnl

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestLinkEventThatIsCut is a message whose end is missing: that is an error, and not no event.
func TestLinkEventThatIsCut(t *testing.T) {
	whole := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg)
	whole[0], whole[4] = byte(len(whole)), unix.RTM_NEWLINK
	if _, err := parseLinkEvents(whole); err != nil {
		t.Errorf("whole: %v", err)
	}
	for n := unix.SizeofNlMsghdr; n < len(whole); n++ {
		if _, err := parseLinkEvents(whole[:n]); err == nil {
			t.Errorf("%d bytes of %d are no error", n, len(whole))
		}
	}
}

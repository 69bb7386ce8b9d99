package testwait_test

import (
	"testing"

	"github.com/go-pipework/pipework/internal/testwait"
)

func TestEventually(t *testing.T) {
	looks := 0
	testwait.Eventually(t, "the third look", func() bool { looks++; return looks == 3 })
	if looks != 3 {
		t.Error(looks, "looks")
	}
}

func TestReceive(t *testing.T) {
	c := make(chan int, 1)
	c <- 7
	if got := testwait.Receive(t, "a number", c); got != 7 {
		t.Error(got)
	}
}

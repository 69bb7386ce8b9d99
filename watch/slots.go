package watch

import (
	"context"
	"time"
)

// parallel is how many guests are reconciled at once, of those that take less than slotTime.
const parallel = 64

// comparisons is how many guests are compared with what is declared at once, of those that
// take less than slotTime, beside those that are reconciled: nobody waits for a comparison.
const comparisons = 4

// slotTime is how long a guest may keep others waiting. One that takes longer, such as one
// whose DHCP server does not answer, goes on beside the others: who has many such guests
// keeps nobody else's from being plugged in.
const slotTime = time.Second

// slowGuests is how many go on so. Each has files, sockets and memory: with more of them than
// this, others wait until one ends, which takes jobTime for each interface at most.
const slowGuests = 1024

// slots bound how many guests are worked on at once.
type slots struct{ quick, slow chan struct{} }

func newSlots(quick int) slots {
	return slots{make(chan struct{}, quick), make(chan struct{}, slowGuests)}
}

// take waits for a slot; nil: ctx has ended before there was one. The slot is free for others
// after slotTime, as far as there is room for slow guests, or else when it is given back.
func (s slots) take(ctx context.Context) (giveBack func()) {
	select {
	case s.quick <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	ended := make(chan struct{})
	go s.release(ended)
	return func() { close(ended) }
}

// release frees a slot.
func (s slots) release(ended <-chan struct{}) {
	timer := time.NewTimer(slotTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ended:
		<-s.quick
		return
	}
	select {
	case s.slow <- struct{}{}:
		<-s.quick
		<-ended
		<-s.slow
	case <-ended:
		<-s.quick
	}
}

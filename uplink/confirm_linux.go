package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/pause"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
)

// A move that is to be confirmed has a note beside its record, which tells the boot and the time
// since boot at which it is undone. Whoever confirms removes the note, for which a full disk has
// room, too.

func (p Plan) unconfirmed() keep.Note { return keep.Note{Kind: "unconfirmed", Of: p.Bridge} }

// arm writes the note, where there is to be one, and has the guard started.
func (j *job) arm(ctx context.Context) error {
	if err := fault.Step(ctx, "write note of uplink"); err != nil {
		return err
	}
	if j.Confirm == 0 {
		return j.Store.DeleteNote(j.unconfirmed())
	}
	text := fmt.Sprintf("%s %d\n", ns.BootID(), sinceBoot()+j.Confirm)
	if err := j.Store.PutNote(j.unconfirmed(), []byte(text)); err != nil {
		return err
	}
	if j.Guarded == nil {
		return nil
	}
	if err := fault.Step(ctx, "start guard"); err != nil {
		return err
	}
	return j.Guarded(ctx)
}

// left is the time until the move is undone; not waiting where nothing waits to be confirmed.
func (p Plan) left() (left time.Duration, waiting bool, err error) {
	b, err := p.Store.Note(p.unconfirmed())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	boot, text, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil || boot != ns.BootID() {
		return 0, true, nil
	}
	return time.Duration(at) - sinceBoot(), true, nil
}

const (
	// notConfirmed is the drift of a move whose guard was killed: what mends it is the undo.
	notConfirmed = "nobody has confirmed it in time"
	// guardLate is how long after that time a guard has begun its work.
	guardLate = time.Second
)

// unguarded says whether the time to confirm is over, and no guard has undone the move.
func (p Plan) unguarded() (bool, error) {
	left, waiting, err := p.left()
	return waiting && left < -guardLate, err
}

// undone is when the move is undone; zero where nothing waits to be confirmed.
func (p Plan) undone() (time.Time, error) {
	left, waiting, err := p.left()
	if !waiting || err != nil {
		return time.Time{}, err
	}
	return time.Now().Add(left).Round(time.Second), nil
}

func (p Plan) confirm(ctx context.Context) error {
	j, end, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer end()
	r, err := j.read(ctx)
	if err != nil {
		return err
	}
	_, waiting, err := p.left()
	switch {
	case err != nil:
		return err
	case r == nil, !waiting:
		return errs.New(fs.ErrNotExist, "nothing of %s under %s waits to be confirmed", p.NIC, p.Bridge)
	case r.Phase != moved:
		return errs.New(fs.ErrInvalid, "%s is not under %s: a call was killed: pipework uplink --undo %s %s", p.NIC, p.Bridge, p.Bridge, p.NIC)
	}
	return p.Store.DeleteNote(p.unconfirmed())
}

const (
	// watchTime is the time between two looks at the note.
	watchTime = 200 * time.Millisecond
	// guardTries bounds how often an undo that fails is tried, a second after another.
	guardTries = 60
)

func (p Plan) guard(ctx context.Context) (*Moved, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	for failures := 0; ; {
		left, waiting, err := p.left()
		if !waiting || err != nil {
			return nil, err
		}
		if left <= 0 {
			m, err := p.expire(ctx)
			if failures++; err == nil || failures == guardTries {
				return m, err
			}
			left = time.Second
		}
		if err := pause.For(ctx, min(left, watchTime)); err != nil {
			return nil, err
		}
	}
}

// expire undoes a move that nobody has confirmed.
func (p Plan) expire(ctx context.Context) (*Moved, error) {
	j, end, err := p.open(ctx) // a Move that is still at it is waited for
	if err != nil {
		return nil, err
	}
	defer end()
	if _, waiting, err := p.left(); !waiting || err != nil { // it has been confirmed meanwhile
		return nil, err
	}
	r, err := j.read(ctx)
	if err != nil {
		return nil, err
	}
	if r == nil { // killed before anything was changed
		return nil, p.Store.DeleteNote(p.unconfirmed())
	}
	if err := j.take(ctx, r); err != nil {
		return nil, err
	}
	return j.moved, nil
}

package ovs

import (
	"context"
	"errors"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/ovsdb"
)

// undoTime bounds how long an undo waits for each answer, and tries again where
// the server has closed the connection: it may be restarting. A server that
// is hung has been told by then.
const (
	undoTime  = time.Second
	undoPause = 20 * time.Millisecond
)

// lastingTime bounds how long an undo waits in the background for a server that is
// hung, on a connection that stays open.
const lastingTime = 10 * time.Minute

var errUnsure = errs.New(context.DeadlineExceeded, "no answer from OVSDB within %v: it may do what was asked of it later, and take it back then", undoTime)

// takeBack carries transactions out that undo others, which ended with these errors.
//
// One whose answer did not come may yet be carried out, and the undo must come after
// it. A server takes the requests of one connection in their order, but not those of
// several connections: the undo goes the way of what it undoes. Only where that has no
// answer it goes by connections of its own, too, one for each transaction: should this
// process end, a server that was hung takes the first request of every connection, the
// older connection first, and no further one of those that have been closed.
func (b Bridge) takeBack(ctx context.Context, failed []error, undo [][]ovsdb.Op) error {
	b.await(ctx, failed)
	sent := errors.New("no connection is shared")
	if b.Client != nil && b.Client.Transactor == nil {
		sent = b.Client.sameWay(ctx, undo)
	}
	if sent == nil {
		return nil
	}
	var own []error
	for _, ops := range undo {
		own = append(own, b.alone(ctx, func(ctx context.Context, s *Client) error { return s.takeBack(ctx, ops) }))
	}
	if err := errs.Join(own...); err != nil {
		return err
	}
	if errors.Is(sent, errUnsure) {
		return sent
	}
	return nil
}

// await waits for transactions that a Transactor has not come back from yet.
func (b Bridge) await(ctx context.Context, failed []error) {
	ctx, cancel := context.WithTimeout(ctx, undoTime)
	defer cancel()
	for _, err := range failed {
		wait(ctx, err)
	}
}

// sameWay undoes by the connection that is shared. What is not answered in time stays
// asked for, as long as the connection does: the error is errUnsure then.
// Where that has ended, because the Client is closed by now, one more is made for it, and
// closed.
func (c *Client) sameWay(ctx context.Context, undo [][]ovsdb.Op) error {
	way, lives := c.server().Living()
	if !lives {
		return errors.New("the connection has ended")
	}
	answered := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastingTime)
		defer cancel()
		later := &Client{Endpoint: c.Endpoint, TLS: c.TLS}
		defer func() { _ = later.Close() }()
		for _, ops := range undo {
			err := takeBack(ctx, way, ops)
			if err != nil && !errors.As(err, new(*ovsdb.Refusal)) {
				err = later.takeBack(ctx, ops)
			}
			if err != nil {
				answered <- err
				return
			}
		}
		answered <- nil
	}()
	select {
	case err := <-answered:
		return err
	case <-time.After(undoTime):
		return errUnsure
	}
}

func (c *Client) takeBack(ctx context.Context, ops []ovsdb.Op) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	return takeBack(ctx, c.transactor(), ops)
}

func takeBack(ctx context.Context, t ovsdb.Transactor, ops []ovsdb.Op) error {
	_, err := ovsdb.Run(ctx, t, "take back", ops)
	return unless(ovsdb.TimedOut, err)
}

// alone calls f with a client that nobody shares, or by the caller's Transactor,
// again while the connection fails, for a short time.
func (b Bridge) alone(ctx context.Context, f func(context.Context, *Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, undoTime)
	defer cancel()
	s := new(Client)
	if b.Client != nil {
		s.Endpoint, s.TLS, s.Transactor = b.Client.Endpoint, b.Client.TLS, b.Client.Transactor
	}
	defer func() { _ = s.Close() }()
	for {
		err := f(ctx, s)
		if err == nil || errors.As(err, new(*ovsdb.Refusal)) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(undoPause):
		}
	}
}

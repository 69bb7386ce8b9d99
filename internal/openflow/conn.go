package openflow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/fault"
)

// answerTime bounds each call where its context does not.
const answerTime = 3 * time.Second

var errSilent = errs.New(context.DeadlineExceeded, "nothing within %v", answerTime)

// What bounds an answer.
const (
	maxAnswer = 8 << 20 // bytes of all its parts
	maxOthers = 10_000  // messages that nobody asked for, in between
)

const version = 5 // 1.4

// Types of messages: section 7.1.1.
const (
	typeHello, typeError, typeEchoRequest, typeEchoReply = 0, 1, 2, 3
	typeFlowMod, typeMultipartRequest                    = 14, 18
	typeMultipartReply, typeBundleControl, typeBundleAdd = 19, 33, 34
)

// A Conn is one connection with a bridge. It is for one goroutine. After an error it is of no
// use any more, unless that is a [*Refusal].
type Conn struct {
	net net.Conn
	xid uint32
}

// Dial connects to a bridge's socket: ovs-vswitchd(8), "mgmt".
func Dial(ctx context.Context, path string) (_ *Conn, err error) {
	if err := fault.Step(ctx, "connect to OpenFlow"); err != nil {
		return nil, err
	}
	dialing, cancel := context.WithTimeoutCause(ctx, answerTime, errSilent)
	defer cancel()
	n, err := new(net.Dialer).DialContext(dialing, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("connect to OpenFlow at %s: %w", path, err)
	}
	c := &Conn{net: n}
	if err := c.do(ctx, c.hello); err != nil {
		_ = n.Close()
		return nil, fmt.Errorf("connect to OpenFlow at %s: %w", path, err)
	}
	return c, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.net.Close() }

// do has f end with ctx.
func (c *Conn) do(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, errSilent)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err := f()
	if err != nil && ctx.Err() != nil && !errors.As(err, new(*Refusal)) {
		return fmt.Errorf("no answer from the switch: %w", context.Cause(ctx))
	}
	return err
}

// hello agrees on a version: section 6.3.1, with the element OFPHET_VERSIONBITMAP.
func (c *Conn) hello() error {
	if err := c.send(typeHello, c.next(), []byte{0, 1, 0, 8, 0, 0, 0, 1 << version}); err != nil {
		return err
	}
	m, err := c.read()
	if err != nil {
		return err
	}
	if m.kind != typeHello {
		return errGarbage("a message of type %d for a greeting", m.kind)
	}
	if !m.speaks() {
		return &Refusal{}
	}
	return nil
}

// speaks says whether who sends this greeting speaks our version.
func (m received) speaks() bool {
	const bitmap = 1
	for b := m.body; len(b) >= 8; {
		if b[1] == bitmap && b[0] == 0 {
			return b[7]&(1<<version) != 0
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n += padding(n); n < 8 || n > len(b) {
			break
		}
		b = b[n:]
	}
	return m.version >= version
}

// Change makes all changes in one step, or none: as a bundle, section 6.8.
func (c *Conn) Change(ctx context.Context, mods []Mod) error {
	if err := fault.Step(ctx, "write flows"); err != nil {
		return err
	}
	const openRequest, closeRequest, commitRequest, atomicAndOrdered = 0, 2, 4, 1 | 2
	control := func(kind byte) []byte { return []byte{0, 0, 0, 1, 0, kind, 0, atomicAndOrdered} }
	return c.do(ctx, func() error {
		if _, err := c.ask(typeBundleControl, control(openRequest)); err != nil {
			return fmt.Errorf("begin a change of flows: %w", err)
		}
		for _, m := range mods {
			xid := c.next()
			inner := message(typeFlowMod, xid, m.append(nil))
			if err := c.send(typeBundleAdd, xid, append([]byte{0, 0, 0, 1, 0, 0, 0, atomicAndOrdered}, inner...)); err != nil {
				return err
			}
		}
		if _, err := c.ask(typeBundleControl, control(closeRequest)); err != nil {
			return fmt.Errorf("add a flow: %w", err)
		}
		if _, err := c.ask(typeBundleControl, control(commitRequest)); err != nil {
			return fmt.Errorf("change flows: %w", err)
		}
		return nil
	})
}

// Flows reads the flows of table 0 whose cookie is this one in the bits of the mask.
func (c *Conn) Flows(ctx context.Context, cookie, mask uint64) (list []Flow, err error) {
	if err := fault.Step(ctx, "read flows"); err != nil {
		return nil, err
	}
	const ofFlows = 1
	b := []byte{0, ofFlows, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}    // of table 0
	b = binary.BigEndian.AppendUint64(b, 0xffffffffffffffff) // by any port and group
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, cookie)
	b = binary.BigEndian.AppendUint64(b, mask)
	b = Match{}.append(b)
	err = c.do(ctx, func() error {
		body, err := c.ask(typeMultipartRequest, b)
		if err != nil {
			return err
		}
		list, err = parseFlows(body)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read flows: %w", err)
	}
	return list, nil
}

// ask sends a request, and returns the answer: of several parts, all of them.
func (c *Conn) ask(kind byte, body []byte) (answer []byte, err error) {
	xid := c.next()
	if err := c.send(kind, xid, body); err != nil {
		return nil, err
	}
	want := kind
	if kind == typeMultipartRequest {
		want = typeMultipartReply
	}
	for others := 0; ; {
		m, err := c.read()
		switch {
		case err != nil:
			return nil, err
		case m.xid != xid || m.kind != want:
			if others++; others > maxOthers {
				return nil, errGarbage("%d messages that nobody asked for", others)
			}
			continue
		case want != typeMultipartReply:
			return m.body, nil
		case len(m.body) < 8:
			return nil, errGarbage("an answer that is cut off")
		}
		if answer = append(answer, m.body[8:]...); len(answer) > maxAnswer {
			return nil, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
		}
		if more := m.body[3]&1 != 0; !more {
			return answer, nil
		}
		if others++; others > maxOthers { // parts may be empty
			return nil, errGarbage("an answer without an end")
		}
	}
}

func (c *Conn) next() uint32 {
	c.xid++
	return c.xid
}

const sizeofHeader = 8

// message is one with its header: section 7.1.
func message(kind byte, xid uint32, body []byte) []byte {
	b := []byte{version, kind}
	b = append(b, two(uint16(sizeofHeader+len(body)))...)
	b = binary.BigEndian.AppendUint32(b, xid)
	return append(b, body...)
}

func (c *Conn) send(kind byte, xid uint32, body []byte) error {
	if sizeofHeader+len(body) > 0xffff {
		return fmt.Errorf("a message of %d bytes does not fit", len(body))
	}
	_, err := c.net.Write(message(kind, xid, body))
	return err
}

type received struct {
	version, kind byte
	xid           uint32
	body          []byte
}

// read reads the next message, answers it where it asks whether somebody is here, and makes
// a refusal an error.
func (c *Conn) read() (received, error) {
	for {
		head := make([]byte, sizeofHeader)
		if _, err := io.ReadFull(c.net, head); err != nil {
			return received{}, ended(err)
		}
		n := int(binary.BigEndian.Uint16(head[2:]))
		if n < sizeofHeader || head[1] != typeHello && head[1] != typeError && head[0] != version {
			return received{}, errGarbage("a header of %x", head)
		}
		m := received{head[0], head[1], binary.BigEndian.Uint32(head[4:]), make([]byte, n-sizeofHeader)}
		if _, err := io.ReadFull(c.net, m.body); err != nil {
			return received{}, ended(err)
		}
		switch m.kind {
		case typeError:
			return m, newRefusal(m.body)
		case typeEchoRequest:
			if err := c.send(typeEchoReply, m.xid, m.body); err != nil {
				return received{}, err
			}
		default:
			return m, nil
		}
	}
}

func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the switch has closed the connection")
	}
	return err
}

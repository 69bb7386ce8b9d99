package ovsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// A conn speaks JSON-RPC 1.0 as RFC 7047 uses it: calls from several goroutines
// at once, answers in any order, and the server's own echo requests, which it
// answers.
type conn struct {
	net     net.Conn
	writing chan struct{} // holds a token while somebody writes
	dead    chan struct{} // closed when nothing is read any more, after err was set
	err     error

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan message
	echoes  []message // questions, and whether somebody is answering them
	echoing bool
}

func newConn(c net.Conn) *conn {
	conn := &conn{
		net: c, writing: make(chan struct{}, 1), dead: make(chan struct{}),
		waiting: make(map[uint64]chan message),
	}
	go conn.read()
	return conn
}

// close ends the connection and waits for its goroutine.
func (c *conn) close() error {
	err := c.net.Close()
	<-c.dead
	return err
}

func (c *conn) ended() bool {
	select {
	case <-c.dead:
		return true
	default:
		return false
	}
}

// read takes messages until there are no more.
func (c *conn) read() {
	r := newReader(c.net)
	for {
		m, err := r.next()
		if err != nil {
			c.err = readError(err)
			_ = c.net.Close()
			close(c.dead)
			return
		}
		c.take(m)
	}
}

func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the server has closed the connection")
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &kind) {
		return fmt.Errorf("the server does not speak OVSDB: %w", err)
	}
	return err
}

// take hands an answer to whom it is for, and answers requests.
func (c *conn) take(m message) {
	if m.Method != "" {
		if m.Method == "echo" && len(m.Params) > 0 && len(m.ID) > 0 {
			c.echo(m)
		}
		return
	}
	var id uint64
	if err := json.Unmarshal(m.ID, &id); err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer := c.waiting[id]; answer != nil {
		delete(c.waiting, id)
		answer <- m
	}
}

// What bounds the questions that wait for their answer to be sent, and the length
// of each. Those of Open vSwitch have no parameters.
const (
	maxEchoes     = 8
	maxEchoLength = 1024
)

// echo tells the server that this end lives. The answers have a goroutine of
// their own, which ends with the connection at the latest: a server that takes
// nothing must not keep answers from being read.
func (c *conn) echo(m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.echoes) == maxEchoes || len(m.Params)+len(m.ID) > maxEchoLength {
		return
	}
	c.echoes = append(c.echoes, m)
	if !c.echoing {
		c.echoing = true
		go c.sendEchoes()
	}
}

func (c *conn) sendEchoes() {
	for {
		c.mu.Lock()
		if len(c.echoes) == 0 {
			c.echoing = false
			c.mu.Unlock()
			return
		}
		m := c.echoes[0]
		c.echoes = c.echoes[1:]
		c.mu.Unlock()
		_ = c.send(context.Background(), fmt.Appendf(nil, `{"result":%s,"error":null,"id":%s}`, m.Params, m.ID))
	}
}

// call sends a request and waits for its answer until ctx ends. An error leaves
// open whether the server did what was asked.
func (c *conn) call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	id, answer := c.expect()
	defer c.forget(id)
	if err := c.request(ctx, method, params, id); err != nil {
		return nil, err
	}
	select {
	case m := <-answer:
		if len(m.Error) > 0 && string(m.Error) != "null" {
			return nil, fmt.Errorf("%s: %s", method, printable(string(m.Error)))
		}
		return m.Result, nil
	case <-c.dead:
		return nil, c.err
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer: %w", context.Cause(ctx))
	}
}

func (c *conn) expect() (id uint64, answer chan message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	answer = make(chan message, 1)
	c.waiting[c.last] = answer
	return c.last, answer
}

func (c *conn) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

func (c *conn) request(ctx context.Context, method string, params any, id uint64) error {
	p, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	return c.send(ctx, fmt.Appendf(nil, `{"method":%q,"params":%s,"id":%d}`, method, p, id))
}

// send has one message written, and waits for that until ctx ends. A message that was
// begun is written to its end all the same, so that whoever gives up costs the others
// on this connection nothing; one that was not begun is not written.
func (c *conn) send(ctx context.Context, text []byte) error {
	select {
	case c.writing <- struct{}{}:
	case <-c.dead:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("the server takes no request: %w", context.Cause(ctx))
	}
	written := make(chan error, 1)
	go func() { // ends with the connection at the latest
		defer func() { <-c.writing }()
		_, err := c.net.Write(text)
		if err != nil {
			_ = c.close()
		}
		written <- err
	}()
	select {
	case err := <-written:
		if err != nil {
			return fmt.Errorf("send the request: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("send the request: %w", context.Cause(ctx))
	}
}

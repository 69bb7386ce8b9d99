package ovsdb

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// A message is what the server sends: a request, a notification or an answer.
type message struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
	ID     json.RawMessage `json:"id"`
}

// What one message may have, so that a server cannot take more than some 50 MB of
// memory. Decoding costs the length several times over, and for an object (a row)
// up to 300 bytes beside it. 40,000 rows of a name and a UUID fit in.
const (
	maxLength  = 4 << 20 // bytes
	maxObjects = 50_000
	maxValues  = 500_000
	maxDepth   = 16 // RFC 7047 needs 8, for a row with a map
)

// A reader cuts what a server sends into messages.
type reader struct{ *bufio.Reader }

func newReader(r io.Reader) reader { return reader{bufio.NewReader(r)} }

// next is the next message. A message that is too large or no JSON is an error,
// after which the stream cannot be read on.
func (r reader) next() (m message, err error) {
	text, err := r.text()
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	return m, err
}

// text is the text of the next message.
func (r reader) text() (text []byte, err error) {
	var s scanner
	for !s.done {
		if _, err := r.Peek(1); err != nil {
			return nil, err
		}
		chunk, _ := r.Peek(r.Buffered())
		n, err := s.scan(chunk)
		if err != nil {
			return nil, err
		}
		if len(text)+n > maxLength {
			return nil, errTooMuch("%d MiB", maxLength>>20)
		}
		text = append(text, chunk[:n]...)
		_, _ = r.Discard(n)
	}
	return text, nil
}

// A scanner finds the end of one JSON object, and counts what decoding it costs.
type scanner struct {
	depth, objects, values int

	quoted  bool // in a string
	escaped bool // after a backslash in a string
	done    bool
}

// scan reads on, and returns how many bytes belong to the object.
func (s *scanner) scan(chunk []byte) (n int, err error) {
	for i, c := range chunk {
		if err := s.byte(c); err != nil {
			return 0, err
		}
		if s.done {
			return i + 1, nil
		}
	}
	return len(chunk), nil
}

func (s *scanner) byte(c byte) error {
	switch {
	case s.escaped:
		s.escaped = false
	case s.quoted:
		s.escaped, s.quoted = c == '\\', c != '"'
	case c == '{', c == '[':
		return s.open(c)
	case c == ' ', c == '\t', c == '\n', c == '\r':
	case s.depth == 0:
		return fmt.Errorf("the server does not speak OVSDB: a message begins with %q", c)
	case c == '"':
		s.quoted = true
	case c == '}', c == ']':
		s.depth--
		s.done = s.depth == 0
	case c == ',':
		s.values++
		if s.values > maxValues {
			return errTooMuch("%d values", maxValues)
		}
	}
	return nil
}

// open begins an object or an array.
func (s *scanner) open(c byte) error {
	if s.depth == 0 && c != '{' {
		return fmt.Errorf("the server does not speak OVSDB: a message begins with %q", c)
	}
	s.depth++
	s.values++
	if c == '{' {
		s.objects++
	}
	switch {
	case s.depth > maxDepth:
		return errTooMuch("%d levels", maxDepth)
	case s.objects > maxObjects:
		return errTooMuch("%d rows", maxObjects)
	}
	return nil
}

func errTooMuch(format string, limit int) error {
	return fmt.Errorf("the server sent more than "+format+" in one message", limit)
}

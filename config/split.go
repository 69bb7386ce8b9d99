package config

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// split takes text apart into words as a POSIX shell would, and does nothing else
// that a shell does: white space separates, quotes and backslashes hold together,
// every other character stands for itself.
func split(text string) ([]string, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("it " + unprintable)
	}
	s := splitter{rest: text}
	for s.rest != "" {
		s.next()
	}
	if s.quote != 0 {
		return nil, errors.New("a quote is not closed: write the same one again")
	}
	s.end()
	return s.words, nil
}

// A splitter takes characters off rest.
type splitter struct {
	rest  string
	words []string
	word  strings.Builder
	begun bool // a word has begun, perhaps an empty one in quotes
	quote byte // that is open; 0: none
}

func (s *splitter) next() {
	c := s.rest[0]
	s.rest = s.rest[1:]
	switch {
	case s.quote == '\'' && c != '\'', s.quote == '"' && c != '"' && c != '\\':
		s.take(c)
	case s.quote != 0 && c == s.quote:
		s.quote = 0
	case c == '\\':
		s.escaped()
	case c == '\'', c == '"':
		s.quote, s.begun = c, true
	case strings.IndexByte(" \t\n\r", c) >= 0:
		s.end()
	default:
		s.take(c)
	}
}

// escaped takes what follows a backslash, which between double quotes stands for
// itself but before another one, a double quote, $ and `.
func (s *splitter) escaped() {
	if s.rest == "" {
		s.take('\\')
		return
	}
	c := s.rest[0]
	if s.quote == '"' && strings.IndexByte("\"\\$`", c) < 0 {
		s.take('\\')
		return
	}
	s.rest = s.rest[1:]
	s.take(c)
}

func (s *splitter) take(c byte) {
	s.word.WriteByte(c)
	s.begun = true
}

func (s *splitter) end() {
	if s.begun {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.begun = false
}

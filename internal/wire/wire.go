// Package wire has the forms that values take in the JSON of Specs and records where
// Go's own are not for people: durations as "20ms", bytes as "0a:1b".
package wire

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// A Duration is text as time.ParseDuration reads it.
type Duration time.Duration

// MarshalText writes the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration: write one such as 20ms", text)
	}
	*d = Duration(parsed)
	return nil
}

// Bytes are hexadecimal digits with colons between the bytes.
type Bytes []byte

// MarshalText writes the bytes.
func (b Bytes) MarshalText() ([]byte, error) {
	pairs := make([]string, len(b))
	for i := range b {
		pairs[i] = hex.EncodeToString(b[i : i+1])
	}
	return []byte(strings.Join(pairs, ":")), nil
}

// UnmarshalText reads what MarshalText writes, with or without colons.
func (b *Bytes) UnmarshalText(text []byte) error {
	parsed, err := hex.DecodeString(strings.ReplaceAll(string(text), ":", ""))
	if err != nil {
		return fmt.Errorf("%q is not hexadecimal: write bytes such as 01:02:0a", text)
	}
	*b = parsed
	return nil
}

// Unmarshal is json.Unmarshal that refuses fields that v does not have, and what
// follows the value.
func Unmarshal(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return plain(err)
	}
	if rest := bytes.TrimSpace(b[dec.InputOffset():]); len(rest) > 0 {
		return fmt.Errorf("%q follows the value", rest[:min(len(rest), 20)])
	}
	return nil
}

// plain is an error of package json, or of what it calls, in words of JSON.
func plain(err error) error {
	if wrong, is := errors.AsType[*json.UnmarshalTypeError](err); is {
		field := wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:]
		if field != "" {
			field += ": "
		}
		return fmt.Errorf("%swrite %s, not %s", field, kindOf(wrong.Type), cmp.Or(kinds[wrong.Value], wrong.Value))
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	if call, rest, is := strings.Cut(text, "("); is && strings.HasPrefix(strings.TrimPrefix(call, "netip."), "Parse") {
		text = strings.Replace(rest, "):", ":", 1) // netip.ParsePrefix("10.0.0.1"): no '/'
	}
	return errors.New(text)
}

// kinds are the kinds of JSON values, by package json's words for them.
var kinds = map[string]string{"string": "text", "bool": "true or false", "number": "a number", "array": "a list", "object": "a mapping"}

// kindOf is the kind of JSON value that a t is read from.
func kindOf(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return kinds["string"]
	}
	switch t.Kind() {
	case reflect.String:
		return kinds["string"]
	case reflect.Bool:
		return kinds["bool"]
	case reflect.Slice, reflect.Array:
		return kinds["array"]
	case reflect.Struct, reflect.Map:
		return kinds["object"]
	case reflect.Float32, reflect.Float64:
		return kinds["number"]
	}
	return "a whole number"
}

// Package schematest makes JSON Schemas of Go types, with the comments of their fields, and
// holds values against them.
package schematest

import (
	"encoding"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/ns"
)

// Draft is which JSON Schema it is.
const Draft = "https://json-schema.org/draft/2020-12/schema"

// A Schema is what is used of JSON Schema.
type Schema struct {
	Schema      string             `json:"$schema,omitempty"`
	Ref         string             `json:"$ref,omitempty"` // #/$defs/NAME, or another file beside this
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        string             `json:"type,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Format      string             `json:"format,omitempty"`          // date-time
	Encoding    string             `json:"contentEncoding,omitempty"` // base64
	Items       *Schema            `json:"items,omitempty"`
	AnyOf       []*Schema          `json:"anyOf,omitempty"`
	Properties  map[string]*Schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false, or the schema of values
	Most        int                `json:"maxProperties,omitempty"`
	Least       int                `json:"minProperties,omitempty"`
	Defs        map[string]*Schema `json:"$defs,omitempty"`

	dir string // where it was read
}

// Golden compares the schema with the file; PIPEWORK_GOLDEN=write in the environment writes
// the file anew.
func Golden(t *testing.T, file string, s *Schema) {
	t.Helper()
	got, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if os.Getenv("PIPEWORK_GOLDEN") == "write" {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-is +should be); PIPEWORK_GOLDEN=write writes it:\n%s", file, diff)
	}
}

// Read reads the schema of a file.
func Read(file string) (*Schema, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &Schema{dir: filepath.Dir(file)}
	return s, json.Unmarshal(text, s)
}

// A Maker makes schemas of types.
type Maker struct {
	Docs Docs
	// Special are those of types that have a form of their own, beside what all have.
	Special map[reflect.Type]Schema
}

// Forms of texts.
const (
	address  = `[0-9A-Fa-f:.]+`
	duration = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	mac      = `^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$`
)

var texts = map[reflect.Type]string{
	reflect.TypeFor[net.HardwareAddr](): mac,
	reflect.TypeFor[pipework.MAC]():     `^([0-9a-f]{2}(:[0-9a-f]{2})*)?$`,
	reflect.TypeFor[netip.Addr]():       "^" + address + "$",
	reflect.TypeFor[netip.Prefix]():     "^" + address + "/[0-9]+$",
	reflect.TypeFor[time.Duration]():    duration,
	reflect.TypeFor[ns.Ref]():           `^.+$`,
}

// Of is the schema of a type.
func (m Maker) Of(t reflect.Type) *Schema {
	if s, is := m.Special[t]; is {
		return &s
	}
	if pattern, is := texts[t]; is {
		return &Schema{Type: "string", Pattern: pattern}
	}
	if t == reflect.TypeFor[time.Time]() {
		return &Schema{Type: "string", Format: "date-time"}
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return &Schema{Type: "string", Enum: values(t)}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return m.Of(t.Elem())
	case reflect.Slice:
		return &Schema{Type: "array", Items: m.Of(t.Elem())}
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.String:
		return &Schema{Type: "string"}
	case reflect.Float64:
		return &Schema{Type: "number"}
	case reflect.Map:
		return &Schema{Type: "object", Additional: m.Of(t.Elem())}
	case reflect.Struct:
		return m.object(t)
	case reflect.Int, reflect.Int64, reflect.Uint16, reflect.Uint32:
		return &Schema{Type: "integer"}
	}
	panic("no schema for " + t.String())
}

func (m Maker) object(t reflect.Type) *Schema {
	s := &Schema{Type: "object", Properties: map[string]*Schema{}, Additional: false}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			below := m.object(f.Type)
			for name, p := range below.Properties {
				s.Properties[name] = p
			}
			s.Required = append(s.Required, below.Required...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		s.Properties[name] = m.Of(f.Type)
		if f.Name == "Parameters" { // bytes, but numbers of options
			s.Properties[name] = &Schema{Type: "array", Items: &Schema{Type: "integer"}}
		}
		s.Properties[name].Description = m.Docs[path.Base(t.PkgPath())+"."+t.Name()+"."+f.Name]
		if options == "" {
			s.Required = append(s.Required, name)
		}
	}
	return s
}

// values are the texts of an enumeration.
func values(t reflect.Type) (all []string) {
	if t.Kind() == reflect.String { // dhcp.Family
		return []string{"ipv4", "ipv6", "both"}
	}
	for n := range 10 {
		v := reflect.New(t)
		v.Elem().Set(reflect.ValueOf(n).Convert(t))
		text, err := v.Elem().Interface().(encoding.TextMarshaler).MarshalText()
		back := reflect.New(t)
		if err == nil && back.Interface().(encoding.TextUnmarshaler).UnmarshalText(text) == nil && back.Elem().Equal(v.Elem()) {
			all = append(all, string(text))
		}
	}
	return all
}

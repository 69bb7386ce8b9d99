package config_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// schemaFile is what editors check and complete a Spec's file by.
const schemaFile = "../docs/spec.schema.json"

// TestSchema compares the schema with what the types say; PIPEWORK_GOLDEN=write in the
// environment writes it anew.
func TestSchema(t *testing.T) {
	got, err := json.MarshalIndent(specSchema(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if os.Getenv("PIPEWORK_GOLDEN") == "write" {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-is +should be); PIPEWORK_GOLDEN=write writes it:\n%s", schemaFile, diff)
	}
}

// TestSchemaFits holds documents that are right, and some that are not, against it.
func TestSchemaFits(t *testing.T) {
	var s schema
	text, err := os.ReadFile(schemaFile)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/spec.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	all, err := os.ReadFile("../testdata/spec.json")
	if err != nil {
		t.Fatal(err)
	}
	for doc, wrong := range map[string]string{
		example:                                   "",
		string(all):                               "",
		"{addrs: [10.0.0.2]}":                     "addrs[0]: pattern",
		"{addrs: 10.0.0.2/24}":                    "addrs: not an array",
		"{colour: red}":                           "colour: no such key",
		"{link: {bridge: {name: br1, vlna: 1}}}":  "link.bridge.vlna: no such key",
		"{link: {bridge: {vlan: 1}}}":             "link.bridge: name is missing",
		"{link: {macvlan: {parent: a, mode: x}}}": "link.macvlan.mode: none of",
		"{mtu: big}":                              "mtu: not an integer",
		"{mtu: true}":                             "mtu: not an integer",
		"{slaac: 1}":                              "slaac: not a boolean",
		"{link: {dummy: {}, phys: {device: a}}}":  "link: 2 keys",
		"{link: {ovs: {name: ovs0, external_ids: {a: b}, other_config: {c: d}}}}": "",
		"{link: {ovs: {name: ovs0, external_ids: {a: [b]}}}}":                     "link.ovs.external_ids.a: not a string",
	} {
		var v any
		if err := yaml.Unmarshal([]byte(doc), &v); err != nil {
			t.Fatal(err)
		}
		if said := s.misfit(v, ""); wrong == "" && said != "" || !strings.HasPrefix(said, wrong) {
			t.Errorf("%.40q: %q, want %q", doc, said, wrong)
		}
	}
}

// A schema is what is used of JSON Schema.
type schema struct {
	Schema      string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        string             `json:"type,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false, or the schema of values
	Most        int                `json:"maxProperties,omitempty"`
	Least       int                `json:"minProperties,omitempty"`
}

// kinds are the Backends that a file can name.
var kinds = []link.Backend{
	link.Bridge{}, link.Macvlan{}, link.Ipvlan{}, link.IPoIB{}, link.Dummy{}, link.Phys{}, link.VLAN{}, link.Veth{}, ovs.Bridge{},
}

func specSchema(t *testing.T) *schema {
	docs := readDocs(t)
	s := docs.of(reflect.TypeFor[pipework.Spec]())
	s.Schema, s.Title = "https://json-schema.org/draft/2020-12/schema", "pipework Spec"
	links := &schema{
		Type: "object", Description: "What makes the interface: one kind, with its settings.",
		Properties: map[string]*schema{}, Additional: false, Least: 1, Most: 1,
	}
	names := append(link.Kinds(), ovs.Kind())
	for i, k := range names {
		if b, err := k.Read([]byte("{}")); err != nil || reflect.TypeOf(b) != reflect.TypeOf(kinds[i]) {
			t.Fatalf("kind %s reads a %T, not a %T: %v", k.Name, b, kinds[i], err)
		}
		links.Properties[k.Name] = docs.of(reflect.TypeOf(kinds[i]))
	}
	s.Properties["link"] = links
	return s
}

// Texts that have a form of their own.
const (
	address  = `[0-9A-Fa-f:.]+`
	duration = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
)

var texts = map[reflect.Type]string{
	reflect.TypeFor[net.HardwareAddr](): `^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$`,
	reflect.TypeFor[netip.Addr]():       "^" + address + "$",
	reflect.TypeFor[netip.Prefix]():     "^" + address + "/[0-9]+$",
	reflect.TypeFor[time.Duration]():    duration,
	reflect.TypeFor[ns.Ref]():           `^.+$`,
	reflect.TypeFor[[]byte]():           `^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2})*$`,
}

// of is the schema of a type.
func (d docs) of(t reflect.Type) *schema {
	if pattern, is := texts[t]; is {
		return &schema{Type: "string", Pattern: pattern}
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return &schema{Type: "string", Enum: values(t)}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.of(t.Elem())
	case reflect.Slice:
		return &schema{Type: "array", Items: d.of(t.Elem())}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Float64:
		return &schema{Type: "number"}
	case reflect.Map:
		return &schema{Type: "object", Additional: d.of(t.Elem())}
	case reflect.Struct:
		return d.object(t)
	case reflect.Int, reflect.Int64, reflect.Uint16, reflect.Uint32:
		return &schema{Type: "integer"}
	}
	panic("no schema for " + t.String())
}

func (d docs) object(t reflect.Type) *schema {
	s := &schema{Type: "object", Properties: map[string]*schema{}, Additional: false}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			below := d.object(f.Type)
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
		s.Properties[name] = d.of(f.Type)
		if f.Name == "Parameters" { // bytes, but numbers of options
			s.Properties[name] = &schema{Type: "array", Items: &schema{Type: "integer"}}
		}
		s.Properties[name].Description = d[path.Base(t.PkgPath())+"."+t.Name()+"."+f.Name]
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

// docs are the comments of fields, by package, type and field.
type docs map[string]string

func readDocs(t *testing.T) docs {
	all := docs{}
	for _, dir := range []string{"..", "../link", "../ovs", "../dhcp"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if spec, is := n.(*ast.TypeSpec); is {
					all.add(parsed.Name.Name, spec)
				}
				return true
			})
		}
	}
	return all
}

// add takes a type's comments; fields without one have that of the field before.
func (d docs) add(pkg string, spec *ast.TypeSpec) {
	fields, is := spec.Type.(*ast.StructType)
	if !is {
		return
	}
	said := ""
	for _, f := range fields.Fields.List {
		if doc := f.Doc.Text(); doc != "" {
			said = strings.Join(strings.Fields(doc), " ")
		}
		for _, name := range f.Names {
			d[pkg+"."+spec.Name.Name+"."+name.Name] = said
		}
	}
}

// misfit says where a value is not as the schema wants it; "" when it is.
func (s *schema) misfit(v any, at string) string {
	switch s.Type {
	case "object":
		m, is := v.(map[string]any)
		if !is {
			return at + ": not an object"
		}
		return s.misfitIn(m, at)
	case "array":
		list, is := v.([]any)
		if !is {
			return at + ": not an array"
		}
		for i, item := range list {
			if said := s.Items.misfit(item, fmt.Sprintf("%s[%d]", at, i)); said != "" {
				return said
			}
		}
	case "string":
		text, is := v.(string)
		switch {
		case !is:
			return at + ": not a string"
		case len(s.Enum) > 0 && !slices.Contains(s.Enum, text):
			return fmt.Sprintf("%s: none of %q", at, s.Enum)
		case !regexp.MustCompile(s.Pattern).MatchString(text):
			return at + ": pattern " + s.Pattern
		}
	case "boolean":
		if _, is := v.(bool); !is {
			return at + ": not a boolean"
		}
	case "integer", "number":
		if text, err := json.Marshal(v); err != nil || !json.Valid(text) || bytes.ContainsAny(text, `"{[eu`) {
			return at + ": not an " + s.Type
		}
	}
	return ""
}

func (s *schema) misfitIn(m map[string]any, at string) string {
	if len(m) < s.Least || s.Most > 0 && len(m) > s.Most {
		return fmt.Sprintf("%s: %d keys", at, len(m))
	}
	for _, name := range s.Required {
		if _, is := m[name]; !is {
			return at + ": " + name + " is missing"
		}
	}
	for name, v := range m {
		below := strings.TrimPrefix(at+"."+name, ".")
		p, is := s.Properties[name]
		if values, any := s.Additional.(map[string]any); any && !is {
			p, is = &schema{Type: fmt.Sprint(values["type"])}, true
		}
		if !is {
			return below + ": no such key"
		}
		if said := p.misfit(v, below); said != "" {
			return said
		}
	}
	return ""
}

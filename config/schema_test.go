package config_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/schematest"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ovs"
)

// schemaFile is what editors check and complete a Spec's file by.
const schemaFile = "../docs/spec.schema.json"

// TestSchema compares the schema with what the types say; PIPEWORK_GOLDEN=write in the
// environment writes it anew.
func TestSchema(t *testing.T) { schematest.Golden(t, schemaFile, specSchema(t)) }

// TestSchemaFits holds documents that are right, and some that are not, against it.
func TestSchemaFits(t *testing.T) {
	s, err := schematest.Read(schemaFile)
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
		if said := s.Misfit(v); wrong == "" && said != "" || !strings.HasPrefix(said, wrong) {
			t.Errorf("%.40q: %q, want %q", doc, said, wrong)
		}
	}
}

// kinds are the Backends that a file can name.
var kinds = []link.Backend{
	link.Bridge{}, link.Macvlan{}, link.Ipvlan{}, link.IPoIB{}, link.Dummy{}, link.Phys{}, link.VLAN{}, link.Veth{}, ovs.Bridge{},
}

func specSchema(t *testing.T) *schematest.Schema {
	m := schematest.Maker{
		Docs: schematest.ReadDocs(t, "..", "../link", "../ovs", "../dhcp"),
		Special: map[reflect.Type]schematest.Schema{
			reflect.TypeFor[[]byte](): {Type: "string", Pattern: `^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2})*$`},
		},
	}
	s := m.Of(reflect.TypeFor[pipework.Spec]())
	s.Schema, s.Title = schematest.Draft, "pipework Spec"
	links := &schematest.Schema{
		Type: "object", Description: "What makes the interface: one kind, with its settings.",
		Properties: map[string]*schematest.Schema{}, Additional: false, Least: 1, Most: 1,
	}
	names := append(link.Kinds(), ovs.Kind())
	for i, k := range names {
		if b, err := k.Read([]byte("{}")); err != nil || reflect.TypeOf(b) != reflect.TypeOf(kinds[i]) {
			t.Fatalf("kind %s reads a %T, not a %T: %v", k.Name, b, kinds[i], err)
		}
		links.Properties[k.Name] = m.Of(reflect.TypeOf(kinds[i]))
	}
	s.Properties["link"] = links
	return s
}

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	yamlparser "github.com/goccy/go-yaml/parser"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
)

// SpecMax is how many bytes the text of a Spec may have.
const SpecMax = 64 << 10

// The bounds of brackets or dashes within one another, whose number costs the YAML
// parser its square in time. What is within a quotation is not told from what closes a
// bracket, so that all brackets of YAML are bounded, too.
const (
	nestingMax  = 64
	bracketsMax = 1000
)

// ParseSpec reads a Spec from YAML or JSON, which is YAML too, with the keys of
// [pipework.DecodeSpec]. Its link is of one of the kinds. A text of more than [SpecMax] bytes, one
// with anchors or several documents, and a field that there is not, are errors on one
// line.
func ParseSpec(text []byte, kinds ...link.Kind) (pipework.Spec, error) {
	b, err := toJSON(text)
	if err != nil {
		return pipework.Spec{}, fmt.Errorf("spec: %w", err)
	}
	return pipework.DecodeSpec(b, kinds...)
}

func toJSON(text []byte) ([]byte, error) {
	if len(text) > SpecMax {
		return nil, fmt.Errorf("%d bytes are more than %d", len(text), SpecMax)
	}
	if nesting(string(text)) > nestingMax {
		return nil, fmt.Errorf("more than %d brackets or dashes within one another", nestingMax)
	}
	if json.Valid(text) {
		return text, nil
	}
	if n := bytes.Count(text, []byte("[")) + bytes.Count(text, []byte("{")); n > bracketsMax {
		return nil, fmt.Errorf("%d brackets are more than %d: write dashes and lines, or JSON", n, bracketsMax)
	}
	file, err := yamlparser.ParseBytes(text, 0)
	if err != nil {
		return nil, errors.New(yamlError(err))
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, errors.New("one document is needed")
	}
	var found aliases
	if ast.Walk(&found, file.Docs[0].Body); found.any {
		return nil, errors.New("anchors and aliases (& and *) are not understood: write the value where it belongs")
	}
	b, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, errors.New(yamlError(err))
	}
	return b, nil
}

// nesting is how deep a text may lead a parser: its brackets that are open at once, or
// the dashes that begin one line.
func nesting(text string) (most int) {
	for line := range strings.Lines(text) {
		most = max(most, strings.Count(line[:len(line)-len(strings.TrimLeft(line, "- \t"))], "-"))
	}
	depth := 0
	for _, r := range text {
		switch r {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		most = max(most, depth)
	}
	return most
}

// aliases looks for what can make a short text stand for a long one.
type aliases struct{ any bool }

// Visit looks at one node.
func (a *aliases) Visit(n ast.Node) ast.Visitor {
	switch n.Type() {
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType:
		a.any = true
	}
	return a
}

// FormatSpec writes a Spec as YAML, as [ParseSpec] reads it.
func FormatSpec(s pipework.Spec) ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return yaml.JSONToYAML(b)
}

// yamlError is the first line of an error of package yaml: where, and what is wrong.
func yamlError(err error) string {
	first, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
	return first
}

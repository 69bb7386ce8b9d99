package schematest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Misfit says where a value, as encoding/json reads it, is not as the schema wants it; ""
// when it is.
func (s *Schema) Misfit(v any) string { return reading{s}.misfit(s, v, "") }

// MisfitOf is Misfit by what the schema defines under the name.
func (s *Schema) MisfitOf(name string, v any) string {
	def, is := s.Defs[name]
	if !is {
		return "nothing is defined for " + name
	}
	return reading{s}.misfit(def, v, "")
}

// A reading knows where definitions are.
type reading struct{ root *Schema }

func (r reading) misfit(s *Schema, v any, at string) string {
	switch {
	case strings.HasPrefix(s.Ref, "#/$defs/"):
		return r.misfit(r.root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")], v, at)
	case s.Ref != "":
		other, err := Read(filepath.Join(r.root.dir, s.Ref))
		if err != nil {
			return at + ": " + err.Error()
		}
		return reading{other}.misfit(other, v, at)
	case len(s.AnyOf) > 0:
		var said []string
		for _, one := range s.AnyOf {
			said = append(said, r.misfit(one, v, at))
		}
		if slices.Contains(said, "") {
			return ""
		}
		return strings.Join(said, ", or ")
	}
	switch s.Type {
	case "object":
		m, is := v.(map[string]any)
		if !is {
			return at + ": not an object"
		}
		return r.misfitIn(s, m, at)
	case "array":
		list, is := v.([]any)
		if !is {
			return at + ": not an array"
		}
		for i, item := range list {
			if said := r.misfit(s.Items, item, fmt.Sprintf("%s[%d]", at, i)); said != "" {
				return said
			}
		}
	case "string":
		text, is := v.(string)
		if !is {
			return at + ": not a string"
		}
		return s.misfitText(text, at)
	case "null":
		if v != nil {
			return at + ": not null"
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

func (s *Schema) misfitText(text, at string) string {
	_, badTime := time.Parse(time.RFC3339Nano, text)
	_, badBytes := base64.StdEncoding.DecodeString(text)
	switch {
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, text):
		return fmt.Sprintf("%s: none of %q", at, s.Enum)
	case !regexp.MustCompile(s.Pattern).MatchString(text):
		return at + ": pattern " + s.Pattern
	case s.Format == "date-time" && badTime != nil:
		return at + ": not a time of RFC 3339"
	case s.Encoding == "base64" && badBytes != nil:
		return at + ": not base64"
	}
	return ""
}

func (r reading) misfitIn(s *Schema, m map[string]any, at string) string {
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
			p, is = &Schema{Type: fmt.Sprint(values["type"])}, true
		}
		if !is {
			return below + ": no such key"
		}
		if said := r.misfit(p, v, below); said != "" {
			return said
		}
	}
	return ""
}

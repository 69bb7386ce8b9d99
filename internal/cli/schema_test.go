package cli

import (
	"reflect"
	"strings"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/doctor"
	"github.com/go-pipework/pipework/internal/schematest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/uplink"
	"github.com/go-pipework/pipework/watch"
)

// outputs are what verbs print with --json: one of these, or with [] a list.
var outputs = map[string]string{
	"attach": "attachment", "detach": "attachment or null", "detach --all": "[]attachment", "list": "[]attachment",
	"check": "[]status", "check --mend": "[]attachment", "check --policy": "[]request",
	"gc": "[]collected", "doctor": "[]finding", "uplink": "moved", "uplink --check": "examined",
	"uplink --print-config": "[]file", "uplink without words": "[]uplinked", "shim": "shimmed", "shim without an address": "moved", "version": "build",
}

// TestOutputSchema compares docs/output.schema.json with what the types say, and
// PIPEWORK_GOLDEN=write writes it. The scripts of cmd/pipework hold against it what the command
// prints.
func TestOutputSchema(t *testing.T) {
	m := schematest.Maker{
		Docs: schematest.ReadDocs(t, "../..", "../../link", "../../ns", "../../dhcp", "../../keep", "../doctor", "../../watch", "../../uplink", "../hostconf", "."),
		Special: map[reflect.Type]schematest.Schema{
			reflect.TypeFor[[]byte]():               {Type: "string", Encoding: "base64"},
			reflect.TypeFor[pipework.Spec]():        {Ref: "spec.schema.json"},
			reflect.TypeFor[*pipework.Attachment](): {Ref: "#/$defs/attachment"},
			reflect.TypeFor[keep.State]():           {Type: "string", Enum: []string{"ok", "drifted", "missing", "absent", "unfinished"}},
			reflect.TypeFor[doctor.Level]():         {Type: "string", Enum: []string{"ok", "note", "problem"}},
			reflect.TypeFor[keep.Source]():          {Type: "string", Enum: []string{"command", "label", "env"}},
		},
	}
	s := &schematest.Schema{
		Schema: schematest.Draft, Title: "what pipework prints with --json",
		Description: "Times are RFC 3339, durations texts such as 1m30s.",
		Defs:        map[string]*schematest.Schema{},
	}
	for name, v := range map[string]any{
		"attachment": pipework.Attachment{}, "status": keep.Status{}, "request": watch.Request{},
		"collected": link.Collected{}, "finding": doctor.Finding{}, "build": built{},
		"moved": uplink.Moved{}, "examined": uplink.Examined{}, "uplinked": uplink.Status{}, "file": uplink.ConfigFile{}, "shimmed": uplink.Shimmed{},
	} {
		s.Defs[name] = m.Of(reflect.TypeOf(v))
	}
	s.Defs["build"].Properties["date"].Format = "date-time" // git's text
	for verb, name := range outputs {
		s.Defs[verb] = output(name)
	}
	schematest.Golden(t, "../../docs/output.schema.json", s)
}

func output(name string) *schematest.Schema {
	if one, is := strings.CutSuffix(name, " or null"); is {
		return &schematest.Schema{AnyOf: []*schematest.Schema{output(one), {Type: "null"}}}
	}
	if one, is := strings.CutPrefix(name, "[]"); is {
		return &schematest.Schema{Type: "array", Items: output(one)}
	}
	return &schematest.Schema{Ref: "#/$defs/" + name}
}

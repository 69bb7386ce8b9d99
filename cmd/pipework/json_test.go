//go:build linux

package main

import (
	"encoding/json"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/go-pipework/pipework/internal/schematest"
)

// fitsSchema holds what was printed last against what docs/output.schema.json has for the verb.
func fitsSchema(ts *testscript.TestScript, neg bool, args []string) {
	s, err := schematest.Read("../../docs/output.schema.json")
	ts.Check(err)
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	if said := s.MisfitOf(args[0], v); (said != "") != neg {
		ts.Fatalf("%s: %s", args[0], said)
	}
}

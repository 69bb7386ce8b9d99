package pipework_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImportsStayLight holds what importing the library, and its parser of words, costs:
// nothing of Open vSwitch, Docker or HTTP; and the command starts without Docker's client.
func TestImportsStayLight(t *testing.T) {
	docker := []string{"github.com/moby/", "github.com/docker/", "github.com/opencontainers/", "github.com/distribution/", "go.opentelemetry.io/"}
	heavy := append(docker, "github.com/ovn-org/libovsdb/", "github.com/ovn-kubernetes/libovsdb/", "net/http/", "os/exec/",
		"github.com/go-pipework/pipework/ns/docker/", "github.com/go-pipework/pipework/ns/find/")
	for pkg, reaches := range map[string][]string{
		".":              append(heavy, "github.com/goccy/"),
		"./config":       heavy,
		"./cmd/pipework": docker,
	} {
		out, err := exec.Command("go", "list", "-deps", pkg).Output()
		if err != nil {
			t.Fatalf("this test needs the go command: %v", err)
		}
		deps := strings.Fields(string(out))
		if len(deps) < 50 {
			t.Fatalf("go list answers %q", deps)
		}
		for _, dep := range deps {
			for _, h := range reaches {
				if strings.HasPrefix(dep+"/", h) {
					t.Errorf("%s reaches %s", pkg, dep)
				}
			}
		}
	}
}

// TestExamplesCanBeCopied has no example that needs what only this module may import.
func TestExamplesCanBeCopied(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{range .Imports}}{{.}} {{end}}", "./examples/...").Output()
	imports := strings.Fields(string(out))
	if err != nil || !slices.Contains(imports, "github.com/go-pipework/pipework") {
		t.Fatalf("this test needs the go command: %v, %q", err, imports)
	}
	for _, pkg := range imports {
		if strings.Contains(pkg+"/", "/internal/") {
			t.Errorf("an example imports %s", pkg)
		}
	}
}

package pipework_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImportsStayLight holds what importing the library, and its parser of words, costs:
// nothing of Open vSwitch, Docker or HTTP.
func TestImportsStayLight(t *testing.T) {
	heavy := []string{"github.com/ovn-org/libovsdb/", "github.com/ovn-kubernetes/libovsdb/", "github.com/moby/", "github.com/docker/", "net/http/", "os/exec/"}
	for pkg, also := range map[string][]string{
		".":        {"github.com/goccy/", "github.com/go-pipework/pipework/ns/docker/", "github.com/go-pipework/pipework/ns/find/"},
		"./config": {"github.com/go-pipework/pipework/ns/docker/", "github.com/go-pipework/pipework/ns/find/"},
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
			for _, h := range append(also, heavy...) {
				if strings.HasPrefix(dep+"/", h) {
					t.Errorf("%s reaches %s", pkg, dep)
				}
			}
		}
	}
}

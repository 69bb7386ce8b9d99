package pipework_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImportsStayLight holds what importing the library costs: nothing of Open
// vSwitch, Docker or HTTP.
func TestImportsStayLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Skip("no go command here:", err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 50 {
		t.Fatalf("go list answers %q", deps)
	}
	for _, dep := range deps {
		for _, heavy := range []string{"github.com/ovn-org/libovsdb", "github.com/ovn-kubernetes/libovsdb", "github.com/moby/", "github.com/docker/", "net/http", "os/exec", "github.com/go-pipework/pipework/ns/"} {
			if strings.HasPrefix(dep+"/", heavy+"/") || strings.HasPrefix(dep, heavy) && strings.HasSuffix(heavy, "/") {
				t.Errorf("the root package reaches %s", dep)
			}
		}
	}
}

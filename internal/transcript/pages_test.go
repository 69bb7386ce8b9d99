package transcript_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/transcript"
)

// imported are the packages that the pages' Go uses, by the names it has for them.
var imported = map[string]string{
	"errors": "errors", "fmt": "fmt", "fs": "io/fs", "netip": "net/netip", "time": "time",
	"pipework": "", "link": "/link", "ns": "/ns", "docker": "/ns/docker", "find": "/ns/find", "keep": "/keep", "ovs": "/ovs", "watch": "/watch", "dhcp": "/dhcp",
}

// TestGoOfPages compiles the Go that pages show. Each block is the body of a function, which
// has ctx, and returns err.
func TestGoOfPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	dir := t.TempDir()
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, code := range transcript.Code(string(text), "go") {
			var head strings.Builder
			for name, path := range imported {
				if strings.Contains(code, name+".") {
					if path == "" || strings.HasPrefix(path, "/") {
						path = "github.com/go-pipework/pipework" + path
					}
					fmt.Fprintf(&head, "import %q\n", path)
				}
			}
			file := filepath.Join(dir, fmt.Sprintf("%s%d.go", strings.ReplaceAll(filepath.Base(page), ".", ""), i))
			body := fmt.Sprintf("package pages\n%simport \"context\"\nfunc page%d(ctx context.Context) (err error) {\n%sreturn err\n}\n", head.String(), len(files), code)
			if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		t.Fatal("no page has Go")
	}
	if out, err := exec.Command("go", append([]string{"vet"}, files...)...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

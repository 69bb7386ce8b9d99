package pipework_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// TestArchitectureIsTrue reads the table of packages in docs/architecture.md: each package
// imports only those of lines above its own, and each package is named on that page.
func TestArchitectureIsTrue(t *testing.T) {
	page, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	named := func(pkg string) bool {
		return strings.Contains(text, "`"+pkg+"`") || strings.HasPrefix(pkg, "examples/") ||
			strings.HasPrefix(pkg, "internal/lanes/") || strings.HasPrefix(pkg, "ovs/libovsdbtest")
	}
	line := map[string]int{}
	for n, row := range strings.Split(text, "\n") {
		cells := strings.Split(row, "|")
		if len(cells) != 4 {
			continue
		}
		for _, name := range regexp.MustCompile("`[^`]+`").FindAllString(cells[1], -1) {
			line[strings.Trim(name, "`")] = n
		}
	}
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...").Output()
	if err != nil {
		t.Fatalf("this test needs the go command: %v", err)
	}
	const module = "github.com/go-pipework/pipework"
	short := func(pkg string) string {
		if pkg == module {
			return "pipework"
		}
		return strings.TrimPrefix(pkg, module+"/")
	}
	compared := 0
	for row := range strings.Lines(string(out)) {
		words := strings.Fields(row)
		pkg := short(words[0])
		if !named(pkg) {
			t.Errorf("docs/architecture.md does not name %s", pkg)
		}
		for _, word := range words[1:] {
			from, is := line[pkg]
			to, known := line[short(word)]
			if !is || !known {
				continue
			}
			if compared++; to > from || to == from && !strings.HasPrefix(pkg, "ns/") && !strings.HasPrefix(pkg, "watch/") {
				t.Errorf("docs/architecture.md has %s below %s, which imports it", short(word), pkg)
			}
		}
	}
	if compared < 40 {
		t.Errorf("only %d imports were compared", compared)
	}
}

// TestNoTypeDoesEverything counts the methods of each type: what has more than forty is
// two things.
func TestNoTypeDoesEverything(t *testing.T) {
	receiver := regexp.MustCompile(`(?m)^func \(\w+ \*?(\w+)(?:\[\w+\])?\) `)
	methods := map[string]int{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "others.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range receiver.FindAllSubmatch(text, -1) {
			methods[filepath.Dir(path)+": "+string(found[1])]++
		}
		return err
	})
	if err != nil || len(methods) < 100 {
		t.Fatalf("%d types: %v", len(methods), err)
	}
	for name, n := range methods {
		if n > 40 {
			t.Errorf("%s has %d methods", name, n)
		}
	}
}

package transcript_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/transcript"
	"github.com/go-pipework/pipework/ns"
)

// imported are the packages that the pages' Go uses, by the names it has for them.
var imported = map[string]string{
	"errors": "errors", "fmt": "fmt", "fs": "io/fs", "netip": "net/netip", "time": "time",
	"pipework": "", "link": "/link", "ns": "/ns", "docker": "/ns/docker", "find": "/ns/find", "keep": "/keep", "ovs": "/ovs", "watch": "/watch", "dhcp": "/dhcp",
}

// TestGoOfPages compiles the Go that pages show. Each block is the body of a function, which
// has ctx, and returns err.
func TestGoOfPages(t *testing.T) {
	var files []string
	dir := t.TempDir()
	for _, page := range pages(t) {
		for i, code := range transcript.Code(read(t, page), "go") {
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

// link is one of Markdown's: its target.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinksOfPages follows the links between pages, to files and to headings.
func TestLinksOfPages(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			path, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s: %v", page, m[1], err)
			} else if heading != "" && !slices.Contains(headings(read(t, target)), heading) {
				t.Errorf("%s: %s: no such heading", page, m[1])
			}
		}
	}
}

// headings are a page's, as GitHub writes them in links.
func headings(page string) (all []string) {
	for line := range strings.Lines(page) {
		if text := strings.TrimLeft(line, "#"); text != line && strings.HasPrefix(text, " ") {
			kept := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(text)), "")
			all = append(all, strings.ReplaceAll(kept, " ", "-"))
		}
	}
	return all
}

// TestLabelsOfPages reads the labels in the compose files that pages show.
func TestLabelsOfPages(t *testing.T) {
	services := 0
	for _, page := range pages(t) {
		for _, code := range transcript.Code(read(t, page), "yaml") {
			var file struct {
				Services map[string]struct{ Labels map[string]string }
			}
			if err := yaml.Unmarshal([]byte(code), &file); err != nil {
				t.Errorf("%s: %v", page, err)
			}
			for name, service := range file.Services {
				services++
				all := config.Declarations{}.Of(&ns.Container{ID: strings.Repeat("5e", 32), Name: name + "-1", Labels: service.Labels, ImageKnown: true})
				for _, d := range all {
					if d.Err != nil {
						t.Errorf("%s: %s: %v", page, name, d.Err)
					}
				}
				if len(all) != len(service.Labels) {
					t.Errorf("%s: %s declares %v", page, name, all)
				}
			}
		}
	}
	if services < 4 {
		t.Errorf("%d services", services)
	}
}

// pages are README.md and those of docs.
func pages(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	return append(all, "../../README.md")
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

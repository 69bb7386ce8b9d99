package pipework_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a program that imports the library may cost, at most.
const (
	modulesMax = 18
	bytesMax   = 7_300_000
)

// TestEmbedderCosts prints, with -v, how many modules and bytes a program grows by that
// imports the library, and holds both.
func TestEmbedderCosts(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", ".").Output()
	if err != nil {
		t.Fatalf("this test needs the go command: %v", err)
	}
	modules := slices.Compact(slices.Sorted(strings.FieldsSeq(string(out))))
	grown := programSize(t, attaching) - programSize(t, "package main\nfunc main() {}\n")
	t.Logf("%d modules, %.1f MB: %s", len(modules), float64(grown)/1e6, strings.Join(modules, " "))
	if len(modules) < 5 || len(modules) > modulesMax {
		t.Errorf("%d modules, at most %d", len(modules), modulesMax)
	}
	if grown < 1<<20 || grown > bytesMax {
		t.Errorf("%d bytes, at most %d", grown, bytesMax)
	}
}

const attaching = `package main

import (
	"context"
	"net/netip"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
)

func main() {
	spec := pipework.Spec{Link: link.Bridge{Name: "br1"}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}}
	if _, err := pipework.Attach(context.Background(), ns.Named("web"), spec); err != nil {
		panic(err)
	}
	if _, err := pipework.Detach(context.Background(), ns.Named("web"), spec); err != nil {
		panic(err)
	}
}
`

// programSize builds a program of this module.
func programSize(t *testing.T, text string) int64 {
	t.Helper()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

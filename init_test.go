package pipework_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestStartsAtOnce holds what the command does before main: each of our packages
// allocates a few kilobytes at most, its tables. A compiled regular expression takes
// from 20 kilobytes to ten megabytes.
func TestStartsAtOnce(t *testing.T) {
	program := filepath.Join(t.TempDir(), "pipework")
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here:", err)
	}
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/pipework").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(program, "--version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	inits := regexp.MustCompile(`(?m)^init (\S+) @.* (\d+) bytes`).FindAllStringSubmatch(string(out), -1)
	if len(inits) < 20 {
		t.Fatalf("%d packages in %q", len(inits), out)
	}
	for _, m := range inits {
		size, err := strconv.Atoi(m[2])
		if strings.HasPrefix(m[1], "github.com/go-pipework/pipework") && (err != nil || size > 16<<10) {
			t.Errorf("%s allocates %s bytes before main", m[1], m[2])
		}
	}
}

// TestNoInit looks for such work in all packages, also those that the command does
// not import: init functions, and regular expressions and templates in variables of
// packages.
func TestNoInit(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, n := range atInit(f) {
			t.Errorf("%s: work at init", fset.Position(n.Pos()))
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Fatalf("%d files, %v", files, err)
	}
}

// atInit finds what a file has done before main.
func atInit(f *ast.File) (found []ast.Node) {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, fn)
		}
		vars, ok := d.(*ast.GenDecl)
		if !ok || vars.Tok != token.VAR {
			continue
		}
		ast.Inspect(vars, func(n ast.Node) bool {
			if _, later := n.(*ast.FuncLit); later {
				return false
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if fun, ok := call.Fun.(*ast.SelectorExpr); ok && (strings.Contains(fun.Sel.Name, "Compile") || fun.Sel.Name == "Must") {
				found = append(found, call)
			}
			return true
		})
	}
	return found
}

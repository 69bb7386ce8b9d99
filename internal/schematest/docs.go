package schematest

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Docs are the comments of fields, by package, type and field.
type Docs map[string]string

// ReadDocs reads those of packages, by their directories.
func ReadDocs(t *testing.T, dirs ...string) Docs {
	all := Docs{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if spec, is := n.(*ast.TypeSpec); is {
					all.add(parsed.Name.Name, spec)
				}
				return true
			})
		}
	}
	return all
}

// add takes a type's comments: of a field what stands behind it, or else above it, or above
// the fields before.
func (d Docs) add(pkg string, spec *ast.TypeSpec) {
	fields, is := spec.Type.(*ast.StructType)
	if !is {
		return
	}
	said := ""
	for _, f := range fields.Fields.List {
		own := strings.Join(strings.Fields(f.Comment.Text()), " ")
		if doc := f.Doc.Text(); doc != "" {
			said = strings.Join(strings.Fields(doc), " ")
		}
		for _, name := range f.Names {
			d[pkg+"."+spec.Name.Name+"."+name.Name] = cmp.Or(own, said)
		}
	}
}

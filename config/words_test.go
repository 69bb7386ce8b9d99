package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/go-pipework/pipework"
)

// TestEveryFieldHasAWord compares the table of words in docs/spec.md with the fields of a
// Spec, and the options in it with those that there are.
func TestEveryFieldHasAWord(t *testing.T) {
	text, err := os.ReadFile("../docs/spec.md")
	if err != nil {
		t.Fatal(err)
	}
	_, words, _ := strings.Cut(string(text), "\n## Words\n")
	words, _, _ = strings.Cut(words, "\n## ")
	fields := map[string]bool{"link": true}
	for f := range reflect.TypeFor[pipework.Spec]().Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" {
			fields[name] = true
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(words, -1) {
		if !fields[row[1]] {
			t.Errorf("docs/spec.md has words for %s, which no Spec has", row[1])
		}
		delete(fields, row[1])
	}
	for name := range fields {
		t.Errorf("docs/spec.md has no words for the field %s", name)
	}
	var l Line
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	l.AddFlags(fs)
	l.AddHostFlags(fs)
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Shorthand == "" && f.Name != "direct-phys" && !strings.Contains(words, "`--"+f.Name) {
			t.Errorf("docs/spec.md does not tell of --%s", f.Name)
		}
	})
	for _, option := range regexp.MustCompile("`--([a-z-]+)").FindAllStringSubmatch(words, -1) {
		if fs.Lookup(option[1]) == nil {
			t.Errorf("docs/spec.md tells of --%s, which there is not", option[1])
		}
	}
}

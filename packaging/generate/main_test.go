package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/go-pipework/pipework/internal/cli"
)

// TestManPages looks for each verb's page, and for each option in it.
func TestManPages(t *testing.T) {
	root := cli.Tree()
	pages := manPages(root, "v1.2.3")
	verbs := append(described(root), root)
	if len(pages) != len(verbs) {
		t.Errorf("%d pages of %d verbs", len(pages), len(verbs))
	}
	for _, verb := range verbs {
		text := string(pages[name(verb)+".1"])
		verb.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(text, escape("--"+f.Name)) {
				t.Errorf("%s(1) does not tell of --%s", name(verb), f.Name)
			}
		})
		if _, err := exec.LookPath("groff"); err != nil {
			continue
		}
		path := filepath.Join(t.TempDir(), "page")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("groff", "-man", "-Tutf8", "-ww", "-z", path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s(1): %v\n%s", name(verb), err, out)
		}
	}
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{"--all": `\-\-all`, ".TH": `\&.TH`, "'a": `\&'a`, `a\b`: `a\eb`} {
		if got := escape(text); got != want {
			t.Errorf("%q is written %q, not %q", text, got, want)
		}
	}
}

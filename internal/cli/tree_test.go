package cli

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestCommandPage compares docs/command.md with the verbs and options that there are.
// PIPEWORK_GOLDEN=write writes it.
func TestCommandPage(t *testing.T) {
	const path = "../../docs/command.md"
	root := Tree()
	var b strings.Builder
	b.WriteString("# The command\n\nThis page is made of what `pipework --help` prints: `PIPEWORK_GOLDEN=write go test -run CommandPage ./internal/cli`. " +
		"Options stand anywhere among the words. The exit status is 0; 1 for a failure, or what `check` found; 2 for wrong usage; that of iproute2 for `route`, `rule` and `tc`. " +
		"What is wrong is said on one line of standard error, and then nothing was changed.\n")
	describe(&b, root)
	for _, verb := range root.Commands() {
		if verb.IsAvailableCommand() {
			describe(&b, verb)
		}
	}
	b.WriteString("\n## Options of every verb\n\n")
	table(&b, root.PersistentFlags())
	b.WriteString("\n## What --json prints\n\n[output.schema.json](output.schema.json) is a JSON Schema of it: its `$defs` has each verb, and says what the keys mean. " +
		"Times are RFC 3339 (`date-time`), durations texts such as `1m30s`, bytes base64, a Spec is that of [spec.schema.json](spec.schema.json). " +
		"`watch`, `route`, `rule` and `tc` print none.\n\n| verb | JSON |\n|---|---|\n")
	for _, verb := range slices.Sorted(maps.Keys(outputs)) {
		name := outputs[verb]
		if one, is := strings.CutPrefix(name, "[]"); is {
			name = "a list of: " + one
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", verb, name)
	}
	if os.Getenv("PIPEWORK_GOLDEN") == "write" {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(page), b.String()); diff != "" {
		t.Errorf("docs/command.md is not what the command says: PIPEWORK_GOLDEN=write writes it\n%s", diff)
	}
}

// describe writes the section of one verb.
func describe(b *strings.Builder, c *cobra.Command) {
	usage := c.Use
	if c.HasParent() {
		usage = c.Parent().CommandPath() + " " + c.Use
	}
	text := strings.TrimPrefix(c.Long, c.Short+".")
	fmt.Fprintf(b, "\n## %s\n\n%s.\n\n```\n%s\n```\n", c.CommandPath(), c.Short, usage)
	if text = strings.TrimSpace(text); strings.Contains(text, "\n  ") {
		fmt.Fprintf(b, "\n```\n%s\n```\n", text) // it has a table
	} else if text != "" {
		fmt.Fprintf(b, "\n%s\n", text)
	}
	if c.HasExample() {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n"))
	}
	if fs := c.LocalNonPersistentFlags(); c.Name() == "attach" {
		b.WriteString("\nThe options are those of pipework without a verb.\n")
	} else if fs.HasAvailableFlags() {
		b.WriteString("\n")
		table(b, fs)
	}
}

func table(b *strings.Builder, fs *pflag.FlagSet) {
	b.WriteString("| option | what it does |\n|---|---|\n")
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		word := "--" + f.Name
		if f.Shorthand != "" {
			word = "-" + f.Shorthand + ", " + word
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", strings.TrimSpace(word+" "+value), strings.ReplaceAll(usage, "|", "\\|"))
	})
}

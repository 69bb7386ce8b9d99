package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manPages are those of the command and of each verb, by their names, in man(7)'s language.
func manPages(root *cobra.Command, version string) map[string][]byte {
	pages := map[string][]byte{"pipework.1": page(root, version)}
	for _, verb := range described(root) {
		pages[name(verb)+".1"] = page(verb, version)
	}
	return pages
}

// described are the verbs that have a help of their own.
func described(root *cobra.Command) (verbs []*cobra.Command) {
	for _, verb := range root.Commands() {
		if verb.IsAvailableCommand() {
			verbs = append(verbs, verb)
		}
	}
	return verbs
}

// name is that of the page: pipework-attach of pipework attach.
func name(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func page(c *cobra.Command, version string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"pipework %s\" \"User Commands\"\n", strings.ToUpper(name(c)), escape(version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", escape(name(c)), escape(c.Short))
	synopsis := c.Use
	if c.HasParent() {
		synopsis = c.Parent().CommandPath() + " " + c.Use
	}
	fmt.Fprintf(&b, ".SH SYNOPSIS\n%s\n", escape(synopsis))
	b.WriteString(".SH DESCRIPTION\n")
	asItStands(&b, c.Long)
	if c.HasExample() {
		b.WriteString(".SH EXAMPLES\n")
		asItStands(&b, c.Example)
	}
	options(&b, "OPTIONS", c.LocalFlags())
	options(&b, "OPTIONS OF EVERY VERB", c.InheritedFlags())
	if verbs := described(c); len(verbs) > 0 {
		b.WriteString(".SH VERBS\n")
		for _, verb := range verbs {
			fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", escape(name(verb)), escape(verb.Short))
		}
	}
	b.WriteString(".SH EXIT STATUS\n0; 1 for a failure, or what check found; 2 for wrong usage; that of iproute2 for route, rule and tc.\n")
	if c.HasParent() {
		b.WriteString(".SH SEE ALSO\n.BR pipework (1)\n")
	}
	return []byte(b.String())
}

// asItStands keeps lines and indentation: the texts of help have tables.
func asItStands(b *strings.Builder, text string) {
	b.WriteString(".nf\n")
	for line := range strings.Lines(text) {
		b.WriteString(escape(strings.TrimRight(line, "\n")) + "\n")
	}
	b.WriteString(".fi\n")
}

func options(b *strings.Builder, title string, fs *pflag.FlagSet) {
	if !fs.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		word := "--" + f.Name
		if f.Shorthand != "" {
			word = "-" + f.Shorthand + ", " + word
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", escape(strings.TrimSpace(word+" "+value)), escape(usage))
	})
}

// escape is the text as roff prints it: hyphens that can be copied, backslashes, and no line
// that begins as a request does.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

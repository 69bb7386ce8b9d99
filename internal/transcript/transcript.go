// Package transcript keeps pages true that show what a shell prints: a test types the
// lines of a page again, and compares.
package transcript

import (
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A Step is a command line of a page, and what the page says that it prints.
type Step struct {
	Line, Prints string
	from, to     int // where the text printed stands in the page
}

// Blocks are the page's blocks ```console: a line after "$ " is typed, and goes on in the
// next while it ends with a backslash; the lines after it are what it prints.
func Blocks(page string) (blocks [][]Step) {
	var block []Step
	inside, goesOn, at := false, false, 0
	for line := range strings.Lines(page) {
		text, last := strings.TrimSuffix(line, "\n"), len(block)-1
		end := at + len(line)
		switch typed, isTyped := strings.CutPrefix(text, "$ "); {
		case !inside:
			inside = text == "```console"
		case text == "```":
			blocks, block, inside = append(blocks, block), nil, false
		case goesOn:
			block[last].Line += "\n" + text
			block[last].from, block[last].to = end, end
			goesOn = strings.HasSuffix(text, `\`)
		case isTyped:
			block = append(block, Step{Line: typed, from: end, to: end})
			goesOn = strings.HasSuffix(text, `\`)
		default:
			block[last].Prints += line
			block[last].to = end
		}
		at = end
	}
	return blocks
}

// Code are the page's blocks of a language.
func Code(page, language string) (blocks []string) {
	for {
		_, rest, found := strings.Cut(page, "\n```"+language+"\n")
		if !found {
			return blocks
		}
		code, after, _ := strings.Cut(rest, "```\n")
		blocks, page = append(blocks, code), after
	}
}

// Type types every line of the page's blocks of which mine says that they are for this test,
// by their first line. run returns what a line prints, on both outputs. What differs each
// time, such as MACs and times, may differ here. With PIPEWORK_GOLDEN=write the page is
// written instead.
func Type(t *testing.T, path string, mine func(first string) bool, run func(line string) string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page, written, typed := string(text), "", 0
	for _, block := range Blocks(page) {
		if !mine(block[0].Line) {
			continue
		}
		for _, s := range block {
			got := run(s.Line)
			if diff := cmp.Diff(steady(s.Prints), steady(got)); diff != "" && os.Getenv("PIPEWORK_GOLDEN") != "write" {
				t.Errorf("%s: $ %s (-the page, +now)\n%s", path, s.Line, diff)
			} else if diff != "" {
				written += page[typed:s.from] + withoutTrailing(got)
				typed = s.to
			}
		}
	}
	if written != "" {
		if err := os.WriteFile(path, []byte(written+page[typed:]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// expressions are made when they are needed: no package of the project works at init.
var expressions = sync.OnceValue(func() []expression {
	return []expression{
		{regexp.MustCompile(`\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b`), "MAC"},
		{regexp.MustCompile(`\b(veth\d+pl|pid:)\d+`), "${1}PID"},
		{regexp.MustCompile(`\bvpl[0-9a-z]+\b`), "vplHASH"},
		{regexp.MustCompile(`\b[0-9a-f]{12,}\b`), "ID"},
		{regexp.MustCompile(`\b\d+(\.\d+)? ?(µs|ms|s)\b`), "TIME"},
		{regexp.MustCompile(`[ \t]+`), " "},
		{regexp.MustCompile(` ?\n`), "\n"},
	}
})

// An expression is what differs each time, and what stands for it.
type expression struct {
	pattern *regexp.Regexp
	by      string
}

// withoutTrailing is the text without white space at the ends of its lines.
func withoutTrailing(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t")
	}
	return strings.Join(lines, "\n")
}

// steady is the text without what differs each time.
func steady(text string) string {
	for _, v := range expressions() {
		text = v.pattern.ReplaceAllString(text, v.by)
	}
	return strings.TrimSpace(text)
}

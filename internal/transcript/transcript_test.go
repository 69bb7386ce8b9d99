package transcript_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-pipework/pipework/internal/transcript"
)

const page = "text\n\n```console\n$ pipework a \\\n    b\none\n  two\n$ true\n```\n\n```sh\n$ not typed\n```\n"

func TestBlocks(t *testing.T) {
	want := [][]transcript.Step{{{Line: "pipework a \\\n    b", Prints: "one\n  two\n"}, {Line: "true"}}}
	if diff := cmp.Diff(want, transcript.Blocks(page), cmpopts.IgnoreUnexported(transcript.Step{})); diff != "" {
		t.Error(diff)
	}
}

func TestTypeWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PIPEWORK_GOLDEN", "write")
	all := func(string) bool { return true }
	prints := map[string]string{"pipework a \\\n    b": "three, at 02:00:00:00:00:01\n", "true": "\n"}
	run := func(line string) string { return prints[line] }
	transcript.Type(t, path, all, run)
	got, err := os.ReadFile(path)
	if want := "text\n\n```console\n$ pipework a \\\n    b\nthree, at 02:00:00:00:00:01\n$ true\n```\n\n```sh\n$ not typed\n```\n"; string(got) != want || err != nil {
		t.Errorf("%v, %q", err, got)
	}

	t.Setenv("PIPEWORK_GOLDEN", "")
	prints["pipework a \\\n    b"] = "three,  at 02:00:00:00:00:02\n"
	transcript.Type(t, path, all, run)
}

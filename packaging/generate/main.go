// Generate writes what a package holds beside the program into a directory: man pages, and
// the completion of shells, all of the command's own tree of verbs.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-pipework/pipework/internal/cli"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: generate <directory> <version>")
		os.Exit(2)
	}
	if err := generate(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(dir, version string) error {
	root := cli.Tree()
	files := map[string][]byte{}
	for name, page := range manPages(root, version) {
		zipped, err := compressed(page)
		if err != nil {
			return err
		}
		files["man/"+name+".gz"] = zipped
	}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"completion/pipework.bash": func(b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) },
		"completion/_pipework":     func(b *bytes.Buffer) error { return root.GenZshCompletion(b) },
		"completion/pipework.fish": func(b *bytes.Buffer) error { return root.GenFishCompletion(b, true) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return err
		}
		files[name] = b.Bytes()
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compressed is the text as gzip -9n makes it, which is how Debian has man pages.
func compressed(text []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

package main

import (
	"io"
	"os"

	"github.com/go-pipework/pipework/config"
)

// readSpec reads the text of a Spec from a file, or for - from standard input. Of a
// longer text than [config.ParseSpec] takes it reads the beginning.
func readSpec(path string) ([]byte, error) {
	file := os.Stdin
	if path != "-" {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
	}
	return io.ReadAll(io.LimitReader(file, config.SpecMax+1))
}

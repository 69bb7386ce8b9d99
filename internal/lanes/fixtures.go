//go:build linux

package lanes

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
)

//go:embed fixtures
var fixtures embed.FS

func fixture(name string) (string, error) {
	text, err := fixtures.ReadFile("fixtures/" + name)
	return string(text), err
}

// writeFixtures writes the fixtures names into the folder dir.
func writeFixtures(dir string, names ...string) error {
	for _, name := range names {
		text, err := fixture(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// preloadLibrary compiles the fixture name.c and returns the path of name.so.
func (c cache) preloadLibrary(ctx context.Context, name string) (string, error) {
	source, err := fixture(name + ".c")
	if err != nil {
		return "", err
	}
	dir, err := c.artefact(ctx, name+"-"+key(source), func(ctx context.Context, dir string) error {
		if err := writeFixtures(dir, name+".c"); err != nil {
			return err
		}
		_, err := tool(ctx, dir, "gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", name+".so", name+".c")
		return err
	})
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return filepath.Join(dir, name+".so"), nil
}

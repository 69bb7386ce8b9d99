//go:build linux

package dockertest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/go-pipework/pipework/internal/busybox"
)

// image is the name of the guests' image.
const image = "pipework-guest"

// Image returns the name of an image with a static busybox and all its applets
// (sh, ip, ping, arping, udhcpc, …), and imports it the first time.
func (e *Engine) Image(t testing.TB) string {
	t.Helper()
	e.image.Do(func() {
		layer, err := busyboxTar()
		if err != nil {
			t.Fatalf("make the guests' image: %v", err)
		}
		e.importImage(t, layer)
	})
	return image
}

func (e *Engine) importImage(t testing.TB, layer io.Reader) {
	t.Helper()
	source := client.ImageImportSource{Source: layer, SourceName: "-"}
	res, err := e.client.ImageImport(t.Context(), source, image, client.ImageImportOptions{})
	if err != nil {
		t.Fatalf("import the guests' image: %v", err)
	}
	defer func() { _ = res.Close() }()
	if _, err := io.Copy(io.Discard, res); err != nil {
		t.Fatalf("import the guests' image: %v", err)
	}
}

// busyboxTar makes a root file system of one program and its many names.
func busyboxTar() (io.Reader, error) {
	path, err := busybox.Path()
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	applets, err := exec.Command(path, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("list busybox's applets: %w", err)
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	writeFile(w, "bin/busybox", program)
	for name := range strings.FieldsSeq(string(applets)) {
		if name != "busybox" {
			_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox"})
		}
	}
	writeFile(w, "etc/passwd", []byte("root:x:0:0:root:/:/bin/sh\n"))
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777})
	return &buf, w.Close() // the first failure sticks to the writer
}

func writeFile(w *tar.Writer, name string, data []byte) {
	if w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(data))}) == nil {
		_, _ = w.Write(data)
	}
}

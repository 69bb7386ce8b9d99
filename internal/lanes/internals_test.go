//go:build linux

package lanes

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResultFiles(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want []string
	}{
		{"none", []string{"-test.v=true", "-test.timeout=10m0s", "-test.cpuprofile="}, nil},
		{"relative", []string{"-test.cpuprofile=cpu.out"}, []string{"/pkg/cpu.out"}},
		{"absolute", []string{"-test.coverprofile=/tmp/c"}, []string{"/tmp/c"}},
		{"output directory", []string{"-test.trace=t", "-test.outputdir=/out"}, []string{"/out/t"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, resultFiles(tc.args, "/pkg")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPassed(t *testing.T) {
	env := []string{"HOME=/h", "TERM=x", "PATH=/bin", "PIPEWORK_A=1=2", "GOTRACEBACK=all", "XPIPEWORK_B=3"}
	want := []string{"HOME=/h", "PATH=/bin", "PIPEWORK_A=1=2", "GOTRACEBACK=all"}
	if diff := cmp.Diff(want, passed(env)); diff != "" {
		t.Error(diff)
	}
}

func TestVisible(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/tmp/x": true, "/running": true, "/run": false, "/run/x": false, "/dev/shm/x": false,
	} {
		if err := visible(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestCheck(t *testing.T) {
	lane := Lane{name: "moon", needs: []need{{"moon-dust", "/nonesuch"}, {"dash", "sh"}, {"moon-rock", "no-such-program"}}}
	err := lane.Check()
	if !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
	want := "lane moon: moon-dust, moon-rock not installed: apt-get install -y --no-install-recommends moon-dust moon-rock"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestArtefact(t *testing.T) {
	c := cache{t.TempDir()}
	var built atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := c.artefact(t.Context(), "a", func(_ context.Context, dir string) error {
				built.Add(1)
				return os.WriteFile(filepath.Join(dir, "file"), nil, 0o644)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.Stat(filepath.Join(dir, "file")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := built.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
}

func TestArtefactFails(t *testing.T) {
	c := cache{t.TempDir()}
	broken := errors.New("broken")
	_, err := c.artefact(t.Context(), "a", func(context.Context, string) error { return broken })
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(c.dir, "a*")); len(left) != 1 { // the lock
		t.Errorf("left: %v", left)
	}
}

func TestArchive(t *testing.T) {
	var b bytes.Buffer
	a := &archive{w: &b, names: make(map[string]bool)}
	a.file("d/f", 0o644, []byte("hello"))
	a.end()
	if a.err != nil {
		t.Fatal(a.err)
	}
	want := "070701" + "00000001" + "000041ed" + "00000000" + "00000000" + "00000001" + "00000000" + "00000000" +
		"00000000" + "00000000" + "00000000" + "00000000" + "00000002" + "00000000" + "d\x00" +
		"070701" + "00000002" + "000081a4" + "00000000" + "00000000" + "00000001" + "00000000" + "00000005" +
		"00000000" + "00000000" + "00000000" + "00000000" + "00000004" + "00000000" + "d/f\x00" + "\x00\x00" + "hello\x00\x00\x00" +
		"070701" + "00000003" + "00000000" + "00000000" + "00000000" + "00000001" + "00000000" + "00000000" +
		"00000000" + "00000000" + "00000000" + "00000000" + "0000000b" + "00000000" + "TRAILER!!!\x00" + "\x00\x00\x00"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func FuzzCompressedKernel(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(bytes.Repeat([]byte{0xff}, headerEnd))
	f.Add(make([]byte, 4096))
	f.Fuzz(func(t *testing.T, image []byte) {
		_, _ = compressedKernel(image)
	})
}

//go:build linux

// Package packaging has what makes packages of the command, in a module of its own: no other
// program takes the packager's dependencies along.
package packaging_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sassoftware/go-rpmutils"

	"github.com/go-pipework/pipework/internal/busybox"
	"github.com/go-pipework/pipework/internal/nstest"
)

func TestMain(m *testing.M) { nstest.Main(m) }

// installed are the files of a package, but for zsh's, which each distribution looks for
// elsewhere.
var installed = strings.Fields(`
	usr/bin/pipework
	usr/bin/pipework-cni
	usr/bin/pipework-runtime
	usr/lib/systemd/system/pipework-docker.service
	usr/lib/systemd/system/pipework-docker.socket
	usr/lib/systemd/system/pipework.service
	usr/share/bash-completion/completions/pipework
	usr/share/doc/pipework/copyright
	usr/share/fish/vendor_completions.d/pipework.fish
	usr/share/man/man1/pipework-attach.1.gz
	usr/share/man/man1/pipework-detach.1.gz
	usr/share/man/man1/pipework-watch.1.gz
	usr/share/man/man1/pipework.1.gz
	usr/share/pipework/hooks.d/pipework-createRuntime.json
	usr/share/pipework/hooks.d/pipework-poststop.json`)

// TestPackages makes the packages, installs the .deb where there is nothing but a shell, and
// removes it again.
func TestPackages(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: make dist compiles the command and the packager")
	}
	dir := t.TempDir()
	output(t, "make", "-C", "..", "dist", "DIST="+dir)
	t.Run("deb", func(t *testing.T) { installs(t, only(t, dir+"/*.deb")) })
	t.Run("rpm", func(t *testing.T) { lists(t, only(t, dir+"/*.rpm")) })
}

func installs(t *testing.T, deb string) {
	root := t.TempDir()
	for _, dir := range []string{"bin", "var/lib/dpkg/info", "var/lib/dpkg/updates"} {
		must(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	must(t, os.WriteFile(root+"/var/lib/dpkg/status", nil, 0o644))
	shell(t, root)
	dpkg := func(args ...string) {
		output(t, "dpkg", append([]string{"--root=" + root, "--log=/dev/null"}, args...)...)
	}
	before := files(t, root)

	dpkg("-i", deb)
	now := files(t, root)
	for _, path := range append(installed, "usr/share/zsh/vendor-completions/_pipework") {
		if !slices.Contains(now, path) {
			t.Errorf("%s is not installed", path)
		}
	}
	commit := strings.TrimSpace(output(t, "git", "rev-parse", "HEAD"))
	if v := output(t, "chroot", root, "/usr/bin/pipework", "version"); !strings.HasPrefix(v, "pipework v") || !strings.Contains(v, " (commit "+commit[:12]+", 2") {
		t.Errorf("pipework version prints %q", v)
	}
	page := output(t, "gzip", "-dc", root+"/usr/share/man/man1/pipework-detach.1.gz")
	if !strings.Contains(page, "\n.SH EXAMPLES\n") || !strings.Contains(page, "\n.B \\-\\-all\n") {
		t.Errorf("pipework-detach(1):\n%s", page)
	}
	output(t, "bash", "-c", "source "+root+"/usr/share/bash-completion/completions/pipework && complete -p pipework")

	must(t, os.MkdirAll(root+"/var/lib/pipework", 0o700))
	must(t, os.WriteFile(root+"/var/lib/pipework/a-record.json", nil, 0o600))
	dpkg("-r", "pipework")
	if _, err := os.Stat(root + "/var/lib/pipework/a-record.json"); err != nil {
		t.Errorf("removed without --purge: %v", err)
	}
	dpkg("-P", "pipework")
	if diff := cmp.Diff(before, files(t, root)); diff != "" {
		t.Errorf("left over:\n%s", diff)
	}
}

// lists reads the names of the files in an .rpm.
func lists(t *testing.T, path string) {
	f, err := os.Open(path)
	must(t, err)
	defer func() { _ = f.Close() }()
	rpm, err := rpmutils.ReadRpm(f)
	must(t, err)
	infos, err := rpm.Header.GetFiles()
	must(t, err)
	var names []string
	for _, info := range infos {
		names = append(names, strings.TrimPrefix(info.Name(), "/"))
	}
	for _, path := range append(installed, "usr/share/zsh/site-functions/_pipework") {
		if !slices.Contains(names, path) {
			t.Errorf("%s is not in it", path)
		}
	}
}

// shell gives the packager's scripts what they run.
func shell(t *testing.T, root string) {
	path, err := busybox.Path()
	must(t, err)
	program, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(root+"/bin/busybox", program, 0o755))
	for _, applet := range []string{"sh", "rm"} {
		must(t, os.Symlink("busybox", root+"/bin/"+applet))
	}
}

// files are those below root, and the directories, but for what dpkg notes.
func files(t *testing.T, root string) (paths []string) {
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		if rel == "var/lib/dpkg" {
			return fs.SkipDir
		}
		paths = append(paths, rel)
		return err
	}))
	return paths
}

func only(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if len(paths) != 1 || err != nil {
		t.Fatalf("%s: %q, %v", pattern, paths, err)
	}
	return paths[0]
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

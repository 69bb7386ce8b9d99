//go:build linux

package lanes_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/lanes"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/google/go-cmp/cmp"
)

// A result is what lanerun showed of a program.
type result struct {
	stdout, stderr string
	status         int
}

// build builds lanerun and returns its path.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lanerun")
	cmd := exec.Command("go", "build", "-o", path, "./lanerun")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return path
}

// show runs lanerun in the folder dir.
func show(t *testing.T, dir, lanerun string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(lanerun, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PIPEWORK_WORD=hello", "OTHER_WORD=no")
	cmd.Stdout = &stdout
	cmd.Stderr = &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// requireLane skips the test where the lane's packages are missing, unless
// PIPEWORK_REQUIRE, a list of names, promises the lane.
func requireLane(t *testing.T, name string) {
	t.Helper()
	lane, err := lanes.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	promised := strings.FieldsFunc(os.Getenv("PIPEWORK_REQUIRE"), func(r rune) bool { return r == ',' || r == ' ' })
	err = lane.Check()
	switch {
	case err != nil && slices.Contains(promised, name):
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	case testing.Short() && !slices.Contains(promised, name):
		t.Skip("-short boots no machines")
	}
}

// notInGuest skips the test in a guest, which does not hold another.
func notInGuest(t *testing.T) {
	t.Helper()
	if lane := os.Getenv("PIPEWORK_LANE"); lane != "" {
		t.Skip("this is lane", lane)
	}
}

// A scriptCase is a shell script and what lanerun is to show of it.
type scriptCase struct {
	name, script string
	want         result
}

func (tc scriptCase) run(t *testing.T, dir, lanerun, lane string) {
	t.Parallel()
	got := show(t, dir, lanerun, lane, "--", "/bin/sh", "-c", tc.script)
	if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Error(diff)
	}
}

// TestRun runs two programs in each lane.
func TestRun(t *testing.T) {
	notInGuest(t)
	lanerun := build(t)
	for _, lane := range lanes.Names() {
		t.Run(lane, func(t *testing.T) {
			requireLane(t, lane)
			dir := emptyDir(t)
			for _, tc := range []scriptCase{
				{"status 0", `pwd; cd /sys/class/net; echo *; cat lo/flags`, result{stdout: dir + "\n" + interfaces[lane] + "\n0x9\n"}},
				{"status 3", `id -u; echo $PIPEWORK_LANE >&2; echo >escaped; exit 3`, result{"0\n", lane + "\n", 3}},
			} {
				t.Run(tc.name, func(t *testing.T) { tc.run(t, dir, lanerun, lane) })
			}
		})
	}
}

// TestRunDetails runs in one lane what does not depend on the lane.
func TestRunDetails(t *testing.T) {
	notInGuest(t)
	const lane = "uml"
	requireLane(t, lane)
	lanerun := build(t)
	dir := emptyDir(t)
	for _, tc := range []scriptCase{
		{"no newline", `printf 'no newline'`, result{stdout: "no newline"}},
		{"signal", `kill -KILL $$`, result{status: 128 + 9}},
		{"environment", `echo $PIPEWORK_WORD $OTHER_WORD`, result{stdout: "hello\n"}},
		{"clockshim", `LD_PRELOAD=$PIPEWORK_CLOCKSHIM /bin/true`, result{}},
		{"writable", `echo x >escaped && cat escaped && mkdir /new && rm -r /new`, result{stdout: "x\n"}},
		{"background", `sleep 1000 & echo $?`, result{stdout: "0\n"}},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.run(t, dir, lanerun, lane) })
	}
}

// emptyDir is a folder in which nothing may appear on the host.
func emptyDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !isEmpty(t, dir) {
			t.Error("a guest has written to the host")
		}
	})
	return dir
}

// interfaces are those a program finds.
var interfaces = map[string]string{"uml": "lo", "qemu": "eth0 eth1 hwsim0 ib0 lo wlan0"}

func TestRunFailures(t *testing.T) {
	notInGuest(t)
	requireLane(t, "uml")
	lanerun := build(t)
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"late", []string{"-timeout", "2s", "/bin/sleep", "1000"}, "lane uml: no result after 2s"},
		{"no program", nil, "lane uml: no program to run"},
		{"program not found", []string{"/nonesuch"}, "no such file or directory"},
		{"program hidden", []string{"/dev/null"}, "permission denied"},
		{"not a program", []string{lanerun + ".txt"}, "guest: start " + lanerun + ".txt"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.WriteFile(lanerun+".txt", []byte("text"), 0o755); err != nil {
				t.Fatal(err)
			}
			got := show(t, ".", lanerun, append([]string{"uml"}, tc.args...)...)
			if got.status != 125 || got.stdout != "" {
				t.Errorf("status %d, output %q", got.status, got.stdout)
			}
			first, _, _ := strings.Cut(got.stderr, "\n")
			if !strings.Contains(first, tc.want) {
				t.Errorf("got %q, want %q in it", first, tc.want)
			}
		})
	}
}

// TestLeavesNothing looks for the box and the processes of a guest that has not ended
// by itself.
func TestLeavesNothing(t *testing.T) {
	notInGuest(t)
	requireLane(t, "uml")
	lanerun := build(t)
	for _, sig := range []os.Signal{os.Interrupt, os.Kill} {
		t.Run(sig.String(), func(t *testing.T) {
			tmp := t.TempDir()
			cmd := exec.Command(lanerun, "uml", "/bin/sh", "-c", "echo up; sleep 1000")
			cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := stdout.Read(make([]byte, 3)); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Error("status 0")
			}
			testwait.Eventually(t, "nothing of the guest is left", func() bool { return len(mentioning(t, tmp)) == 0 && isEmpty(t, tmp) })
		})
	}
}

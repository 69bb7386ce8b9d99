//go:build linux

package nstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// splitTestEnv names a file in which the tests below tell that they ran, in the processes
// that TestSplit starts.
const splitTestEnv = "PIPEWORK_SPLIT_TEST"

func TestMain(m *testing.M) {
	Split(m, map[string][]string{"TestApart": {"one", "two"}}, "TestLong/of three, one", "TestBroken")
	Chosen()
	os.Exit(m.Run())
}

func ran(t *testing.T) {
	t.Helper()
	path := os.Getenv(splitTestEnv)
	if path == "" {
		t.Skip("for TestSplit")
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(t.Name() + "\n"); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhole(t *testing.T) { ran(t) }

func TestApart(t *testing.T) {
	for _, name := range []string{"one", "two"} {
		t.Run(name, ran)
	}
}

// TestLong has one part that has a process to itself; the others are not named.
func TestLong(t *testing.T) {
	for _, name := range []string{"of three, one", "two", "three"} {
		t.Run(name, ran)
	}
}

func TestBroken(t *testing.T) {
	ran(t)
	t.Error("as it should")
}

// TestSplit has each test run once, in whichever process, and one that fails be told.
func TestSplit(t *testing.T) {
	if os.Getenv(splitTestEnv) != "" {
		return
	}
	path := filepath.Join(t.TempDir(), "ran")
	cmd := exec.Command("/proc/self/exe", "-test.count=1", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), splitTestEnv+"="+path)
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "--- FAIL: TestBroken") {
		t.Errorf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(strings.FieldsSeq(string(text)))
	if want := []string{"TestApart/one", "TestApart/two", "TestBroken", "TestLong/of_three,_one", "TestLong/three", "TestLong/two", "TestWhole"}; !slices.Equal(names, want) {
		t.Errorf("ran %q, want %q", names, want)
	}
}

package runtimetest

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/busybox"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
)

// Require skips the test where the lane's programs are not installed or root's
// rights are missing. Where PIPEWORK_REQUIRE promises the lane the test fails.
func Require(t testing.TB, lane string, programs ...string) {
	t.Helper()
	why := missing(lane, programs)
	switch {
	case why == "":
		nstest.Ran(lane)
	case nstest.Required(lane):
		t.Fatalf("PIPEWORK_REQUIRE promises %s: %s", lane, why)
	default:
		t.Skip(why)
	}
}

func missing(lane string, programs []string) string {
	if os.Getenv(stageEnv) == "" {
		return lane + " needs root"
	}
	for _, name := range programs {
		_, err := exec.LookPath(name)
		if name == "busybox" {
			_, err = busybox.Path()
		}
		if err != nil {
			return "no " + name + " here: make packages"
		}
	}
	return ""
}

// patience bounds every program.
const patience = 3 * time.Minute

// Try runs a program and returns what it prints.
func Try(t testing.TB, program string, args ...string) (string, error) {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "out") // a file: daemons may keep it open
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	start := time.Now()
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	err = cmd.Run()
	timer.Stop()
	took := time.Since(start).Round(time.Millisecond)
	text, readErr := os.ReadFile(out.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	t.Logf("%s %s (%v)\n%s", filepath.Base(program), strings.Join(args, " "), took, text)
	return strings.TrimSpace(string(text)), err
}

// Run runs a program that must succeed, and returns what it prints.
func Run(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := Try(t, program, args...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return out
}

// Daemon starts a program that ends with the test, in a session of its own.
func Daemon(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = log.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(program), text[max(0, len(text)-1500):])
		}
	})
	return cmd
}

// Socket waits until a daemon's socket is there.
func Socket(t testing.TB, path string) {
	t.Helper()
	testwait.Eventually(t, path+" is there", func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
}

// Rootfs makes a root file system of a static busybox.
func Rootfs(t testing.TB) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "rootfs")
	for _, dir := range []string{"bin", "dev", "etc", "proc", "sys", "tmp", "run", "usr", "var", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := install(root); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{"etc/os-release": "ID=pipework\n", "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"} {
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func install(root string) error {
	path, err := busybox.Path()
	if err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(filepath.Join(root, "bin/busybox"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	for _, name := range []string{"sh", "sleep", "ip", "ping"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
			return err
		}
	}
	return out.Close()
}

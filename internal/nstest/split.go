//go:build linux

package nstest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// splitEnv tells a process that [Split] started what to do: which tests to run, as the
// flag -run takes it, or "list".
const splitEnv = "PIPEWORK_TESTS"

// splitSkipEnv tells it what of these to leave to others, as the flag -skip takes it.
const splitSkipEnv = "PIPEWORK_TESTS_SKIP"

// splitTimeEnv tells it how long it may take, as the flag -timeout takes it.
const splitTimeEnv = "PIPEWORK_TESTS_TIMEOUT"

// Limits of Split: the processes at a time, with -short and beside other lanes, and how
// many there are in all, so that none ends long after the others.
const (
	atOnceShort = 8
	atOnce      = 2
	inAll       = 24
)

// Split runs all tests of a package in several processes, some at a time, and ends the
// program with their status: tests of one process share a host, and much of their time
// is waiting. TestMain calls it before it makes a sandbox; Main does. In such a process
// it returns, as it does where the flags ask for only some tests, or for a result that
// several processes cannot have together: then the tests run one after the other. Of the
// tests in apart, each test below them is one of its own. Each of long, such as
// "TestContract/pinned", takes longer than most: it has a process to itself, and they begin
// first, so that none is left to end alone. What is below a test and is not named runs with
// the others.
func Split(m *testing.M, apart map[string][]string, long ...string) {
	flag.Parse()
	switch os.Getenv(splitEnv) {
	case "":
		if splits() {
			os.Exit(splitTests(apart, long))
		}
	case "list":
		os.Exit(m.Run())
	}
}

// Run is [Main] for packages whose tests make what they need themselves.
func Run(m *testing.M) {
	Split(m, nil)
	Chosen()
	os.Exit(m.Run())
}

// Chosen has the tests run that this process is for: for a TestMain that calls [Split].
func Chosen() {
	if pattern := os.Getenv(splitEnv); pattern != "" {
		flag.Parse()
		err := errors.Join(flag.Set("test.run", pattern), flag.Set("test.skip", os.Getenv(splitSkipEnv)), os.Unsetenv(splitEnv), os.Unsetenv(splitSkipEnv))
		if left := os.Getenv(splitTimeEnv); left != "" {
			err = errors.Join(err, flag.Set("test.timeout", left), os.Unsetenv(splitTimeEnv))
		}
		if err != nil {
			panic(err)
		}
	}
}

// splits says whether the flags permit several processes. The cache of go test has a log
// of its own from one process.
func splits() bool {
	for _, name := range []string{"run", "list", "bench", "fuzz", "skip", "testlogfile",
		"blockprofile", "coverprofile", "cpuprofile", "gocoverdir", "memprofile", "mutexprofile", "trace"} {
		if f := flag.Lookup("test." + name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return os.Getenv("PIPEWORK_LANE") == ""
}

// A part is what one process runs.
type part struct{ run, skip string }

// parts shares the tests out, the long ones first.
func parts(all, long []string) (parts []part) {
	for _, test := range long {
		parts = append(parts, part{run: exactly(strings.Split(test, "/")...)})
	}
	skip := make([]string, len(parts))
	for i, p := range parts {
		skip[i] = p.run
	}
	processes := min(inAll, len(all))
	for i := range processes {
		var some []string
		for n := i; n < len(all); n += processes {
			some = append(some, all[n])
		}
		parts = append(parts, part{strings.Join(some, "|"), strings.Join(skip, "|")})
	}
	return parts
}

// exactly is the pattern of one test: the last of these names, below the others.
func exactly(names ...string) string {
	for i, name := range names {
		names[i] = "^" + regexp.QuoteMeta(name) + "$"
	}
	return strings.Join(names, "/")
}

func splitTests(apart map[string][]string, long []string) (status int) {
	end := deadline()
	all, err := listTests(apart)
	if err == nil && len(all) == 0 {
		err = errors.New("there are none")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "list the tests:", err)
		return 1
	}
	todo := parts(all, long)
	queue := make(chan part, len(todo))
	for _, p := range todo {
		queue <- p
	}
	close(queue)
	var wg sync.WaitGroup
	var mu sync.Mutex
	most := atOnce
	if testing.Short() {
		most = atOnceShort
	}
	for range most {
		wg.Go(func() {
			runtime.LockOSThread() // Pdeathsig is sent when the thread ends
			for part := range queue {
				said, err := runTests(part, end, os.Args[1:]...)
				mu.Lock()
				if err != nil {
					status = 1
					said = fmt.Appendln(said, err)
				}
				_, _ = os.Stdout.Write(bytes.TrimSuffix(said, []byte("PASS\n")))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if status == 0 {
		fmt.Println("PASS")
	}
	return status
}

// listTests is what there is to run, each as a pattern of its own.
func listTests(apart map[string][]string) (patterns []string, err error) {
	out, err := runTests(part{run: "list"}, time.Time{}, "-test.list=^(Test|Fuzz|Example)")
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	for name := range strings.FieldsSeq(string(out)) {
		below := apart[name]
		if below == nil {
			patterns = append(patterns, exactly(name))
		}
		for _, test := range below {
			patterns = append(patterns, exactly(name, test))
		}
	}
	return patterns, nil
}

// deadline is when -timeout ends; zero: never.
func deadline() (end time.Time) {
	if f := flag.Lookup("test.timeout"); f != nil {
		if d, err := time.ParseDuration(f.Value.String()); err == nil && d > 0 {
			end = time.Now().Add(d)
		}
	}
	return end
}

// runTests runs this program again, until end at most, and returns what it said.
func runTests(p part, end time.Time, args ...string) ([]byte, error) {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	// The race detector would wait for a second at the end of each process.
	cmd.Env = append(os.Environ(), splitEnv+"="+p.run, splitSkipEnv+"="+p.skip, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	if !end.IsZero() { // the process tells then what it was at
		cmd.Env = append(cmd.Env, splitTimeEnv+"="+max(time.Until(end), time.Second).String())
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Minute
	return cmd.CombinedOutput()
}

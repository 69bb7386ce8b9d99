//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/sandbox"
)

// memoryMost is the most memory that a call may take, whatever a server says.
const memoryMost = 64 << 10 // KiB

// A flood is what a server says without end: a beginning, and then the same again and again.
type flood struct{ begin, more string }

// TestMemory has servers that never end what they say to the command as it is built, and
// prints the most memory that each verb took (VmHWM of proc(5)).
func TestMemory(t *testing.T) {
	program := filepath.Join(t.TempDir(), "pipework")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	remove, err := sandbox.Namespace("guest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = remove() })
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
	const answer = `{"id":1,"error":null,"result":[`
	row := `{"_uuid":["uuid","36bef046-7da7-43a5-905a-c17899216fcb"],"name":"v1pl1234567890123"},`
	for name, f := range map[string]struct{ engine, ovs flood }{
		"header and a string": {flood{"HTTP/1.1 200 OK\r\nX-More: ", "more"}, flood{answer + `{"rows":[{"name":"`, "x"}},
		"text and rows":       {flood{ok + `{"Id": "`, "x"}, flood{answer + `{"rows":[`, row}},
		"list and a set":      {flood{ok + "[{}", ",{}"}, flood{answer + `{"rows":[{"a":["set",[1`, ",1"}},
		"nested":              {flood{ok, "["}, flood{answer, "["}},
		"blanks":              {flood{ok, " "}, flood{answer, " "}},
		"failure and results": {flood{"HTTP/1.1 500 No\r\n\r\n", "x"}, flood{answer + "null", ",null"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			engine, db := filepath.Join(dir, "docker.sock"), filepath.Join(dir, "db.sock")
			serveFlood(t, engine, f.engine)
			serveFlood(t, db, f.ovs)
			for _, words := range []string{
				"br1 docker:web 10.0.0.2/24", "ovs0 netns:guest 10.0.0.2/24", "route docker:web", "detach docker:web", "detach netns:guest", "check docker:web", "list", "gc", "watch",
			} {
				cmd := exec.Command(program, strings.Fields(words)...)
				cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+engine, "OVS_RUNDIR="+dir, "PIPEWORK_STATE="+filepath.Join(dir, "state"))
				most, said := peak(t, cmd, words == "watch")
				t.Logf("%-30s %6d KiB: %.150s", words, most, said)
				if most > memoryMost {
					t.Errorf("%s took %d KiB", words, most)
				}
			}
		})
	}
}

// serveFlood listens at a socket, as Docker's engine and as OVSDB.
func serveFlood(t *testing.T, path string, f flood) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.answer(c)
		}
	}()
}

func (f flood) answer(c net.Conn) {
	defer func() { _ = c.Close() }()
	question := make([]byte, 4096)
	n, _ := c.Read(question)
	if bytes.Contains(question[:n], []byte("/_ping")) {
		_, _ = fmt.Fprint(c, "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 0\r\n\r\n")
		return
	}
	chunk := []byte(strings.Repeat(f.more, 1+64<<10/len(f.more)))
	_, err := fmt.Fprint(c, f.begin)
	for err == nil {
		_, err = c.Write(chunk)
	}
}

// peak runs a command, and returns the most memory that it took, in KiB, and the end of what it
// said. One that stays is ended after some seconds. The kernel forgets the number as the
// process ends, so it is read all the time: it only grows.
func peak(t *testing.T, cmd *exec.Cmd, stays bool) (most int, said string) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	limit := time.Minute
	if stays {
		limit = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if now, ok := highWater(cmd.Process.Pid); ok {
			most = max(most, now)
		}
		select {
		case <-ended:
			return most, strings.TrimSpace(out.String())
		case <-ctx.Done():
			if !stays {
				t.Errorf("%v did not end", cmd.Args)
			}
			_ = cmd.Process.Kill()
			<-ended
			return most, strings.TrimSpace(out.String())
		case <-time.After(time.Millisecond):
		}
	}
}

// highWater is VmHWM of a process.
func highWater(pid int) (kib int, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, found := strings.Cut(string(text), "VmHWM:")
	word := strings.Fields(rest)
	if err != nil || !found || len(word) == 0 {
		return 0, false
	}
	kib, err = strconv.Atoi(word[0])
	return kib, err == nil
}

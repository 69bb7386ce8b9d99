package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-pipework/pipework/internal/ovsdb"
)

// socket is where the server of this process listens.
var socket string

// A case is one thing that a server does otherwise than it should.
type hostileCase struct {
	name   string
	method string // whose answer is another
	result string // this one; or
	text   string // the whole message, with the request's id for %s
	repeat string // or in the first row's column a, up to this many bytes
	bytes  int
}

// What is answered to a method, each by itself.
var answers = map[string][]string{
	"transact": {
		`null`, `{}`, `"x"`, `1`, `[]`, `[null]`, `[1]`, `[[]]`, `[{},{},{},{}]`, `[{"uuid":[]}]`, `[{"uuid":["uuid"]}]`,
		`[{"uuid":null}]`, `[{"uuid":1}]`, `[{"rows":{}}]`, `[{"rows":[null]}]`, `[{"rows":[1]}]`, `[{"rows":[{"a":[]}]}]`,
		`[{"rows":[{"a":[1]}]}]`, `[{"rows":[{"a":["set"]}]}]`, `[{"rows":[{"a":["set",1]}]}]`, `[{"rows":[{"a":["set",null]}]}]`,
		`[{"rows":[{"a":["set",[[]]]}]}]`, `[{"rows":[{"a":["set",[["uuid"]]]}]}]`, `[{"rows":[{"a":["uuid"]}]}]`,
		`[{"rows":[{"a":["uuid",1]}]}]`, `[{"rows":[{"a":["map"]}]}]`, `[{"rows":[{"a":["map",1]}]}]`, `[{"rows":[{"a":["map",[1]]}]}]`,
		`[{"rows":[{"a":["map",[[]]]}]}]`, `[{"rows":[{"a":["map",[["k"]]]}]}]`, `[{"rows":[{"a":["map",[[{},1]]]}]}]`,
		`[{"rows":[{"a":["map",[[["set",[]],1]]]}]}]`, `[{"rows":[{"a":["map",[["k",[]]]]}]}]`, `[{"count":"x"}]`, `[{"error":1}]`,
	},
	"list_dbs": {`null`, `{}`, `1`, `[]`, `[1]`},
	"get_schema": {
		`null`, `1`, `[]`, `{}`, `{"tables":null}`, `{"tables":{"Bridge":null}}`, `{"tables":{"Bridge":{}}}`,
		`{"tables":{"Bridge":{"columns":{"name":null}}}}`, `{"tables":{"Bridge":{"columns":{"name":{}}}}}`,
		`{"tables":{"Bridge":{"columns":{"name":{"type":null}}}}}`, `{"tables":{"Bridge":{"columns":{"name":{"type":[]}}}}}`,
		`{"tables":{"Bridge":{"columns":{"name":{"type":{}}}}}}`, `{"tables":{"Bridge":{"columns":{"name":{"type":{"key":null}}}}}}`,
		`{"tables":{"Bridge":{"columns":{"name":{"type":{"key":{"type":1}}}}}}}`,
		`{"tables":{"Bridge":{"columns":{"name":{"type":{"key":{"type":"string","enum":[]}}}}}}}`,
		`{"tables":{"Bridge":{"columns":{"name":{"type":{"key":{"type":"string","enum":["set"]}}}}}}}`,
		`{"tables":{"Bridge":{"columns":{"name":{"type":{"key":"string","max":"many"}}}}}}`,
	},
}

// What comes before the answer to a transaction, or in its place.
var messages = []string{
	"HTTP/1.1 400 Bad Request\r\n\r\n", `[]`, `1`, `null`, `{}`, `{"id":`, `{"id":%s}`, `{"id":[],"result":[{}]}`,
	`{"id":{},"result":[{}]}`, `{"id":"x","result":[{}]}`, `{"id":4711,"result":[{}],"error":null}`, `{"id":%s,"result":null,"error":[]}`,
	`{"id":%s,"result":null,"error":{}}`, `{"id":%s,"result":null,"error":1}`, `{"method":1}`, `{"method":"echo","id":1}`,
	`{"method":"echo","params":null,"id":1}`, `{"method":"echo","params":{},"id":1}`, `{"method":"echo","params":1,"id":1}`,
	`{"method":"update","params":null,"id":null}`, `{"method":"update","params":[],"id":null}`, `{"method":"update","params":[1],"id":null}`,
	`{"method":"update","params":[1,2],"id":null}`, `{"method":"update","params":[null,null],"id":null}`,
	`{"method":"update2","params":[],"id":null}`, `{"method":"update2","params":[1,2],"id":null}`, `{"method":"update3","params":[],"id":null}`,
	`{"method":"update3","params":[1,2],"id":null}`, `{"method":"update3","params":[1,2,3],"id":null}`,
	`{"method":"nonsense","params":[],"id":9}`, `{"method":"locked","params":null,"id":null}`,
}

func cases() (list []hostileCase) {
	for _, method := range []string{"transact", "list_dbs", "get_schema"} {
		for _, result := range answers[method] {
			list = append(list, hostileCase{name: method + " " + result, method: method, result: result})
		}
	}
	for _, text := range messages {
		list = append(list, hostileCase{name: "message " + strconv.Quote(text), method: "transact", text: text})
	}
	return append(list,
		hostileCase{name: "a string of 200 MB", method: "transact", repeat: "xxxxxxxx", bytes: 200_000_000},
		hostileCase{name: "20 MB of small rows", method: "transact", repeat: `"},{"a":"`, bytes: 20_000_000},
		hostileCase{name: "4 MB of rows", method: "transact", bytes: 4_000_000,
			repeat: `"},{"_uuid":["uuid","36bef046-7da7-43a5-905a-c17899216fcb"],"a":"v1pl1234567890`},
	)
}

// hostile prints what became of each case, in a process of its own with each client.
func hostile() error {
	fmt.Println("\nAn answer that is no proper one to list_dbs, get_schema or transact:\n\n| the server sends | libovsdb | pipework |\n|---|---|---|")
	counts := map[string]int{}
	all := cases()
	for i, c := range all {
		them, us := run(theirs, fmt.Sprint(i)), run(ours, fmt.Sprint(i))
		if c.method != "transact" {
			us = "is not asked"
		}
		for name, outcome := range map[string]string{theirs: them, ours: us} {
			for _, bad := range []string{panics, hangs} {
				if strings.HasPrefix(outcome, bad) {
					counts[name+" "+bad]++
				}
			}
		}
		fmt.Printf("| `%s` | %s | %s |\n", strings.ReplaceAll(c.name, "|", "\\|"), them, us)
	}
	fmt.Printf("\nOf %d: libovsdb panics in %d and outlives its context in %d, pipework %d and %d.\n", len(all),
		counts[theirs+" "+panics], counts[theirs+" "+hangs], counts[ours+" "+panics], counts[ours+" "+hangs])
	return nil
}

// What may become of a case.
const (
	panics = "**panics**"
	hangs  = "**hangs**"
)

// run is what becomes of a case with a client.
func run(client, which string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], client, which)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return hangs
	case strings.Contains(failed.String(), "panic:"):
		return panics
	case err != nil:
		return "fails: " + err.Error()
	}
	return strings.TrimSpace(out.String())
}

// child plays one case, with a server of its own, and prints what became of it.
func child(name, which string) {
	dir, err := os.MkdirTemp("", "measure")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	socket = filepath.Join(dir, "db")
	if play, is := plays[which]; is {
		fmt.Println(play(name))
		return
	}
	i, err := strconv.Atoi(which)
	if err != nil {
		panic(err)
	}
	fmt.Println(outcome(name, cases()[i]))
}

// What a call may take: much more than any needs.
const (
	patience     = 3 * time.Second
	forMegabytes = 40 * time.Second
)

// outcome calls a server that is hostile, and waits for what comes later.
func outcome(name string, c hostileCase) string {
	listen(func(r request, w io.Writer) {
		switch {
		case r.Method != c.method:
			r.proper(w)
		case c.text != "":
			_, _ = io.WriteString(w, strings.Replace(c.text, "%s", string(r.ID), 1))
			if !strings.Contains(c.text, "%s") {
				r.proper(w)
			}
		case c.bytes > 0:
			_, err := fmt.Fprintf(w, `{"id":%s,"error":null,"result":[{"rows":[{"a":"`, r.ID)
			for many, sent := strings.Repeat(c.repeat, 1000), 0; err == nil && sent < c.bytes; sent += len(many) {
				_, err = io.WriteString(w, many)
			}
			_, _ = io.WriteString(w, `"}]}]}`)
		default:
			_, _ = fmt.Fprintf(w, `{"id":%s,"error":null,"result":%s}`, r.ID, c.result)
		}
	})
	conn, end := dial(name)
	wait := patience
	if c.bytes > 0 {
		wait = forMegabytes
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	err := conn.Connect(ctx)
	if err == nil && name == ours {
		_, err = ovsdb.Run(ctx, conn, "look", []ovsdb.Op{{Operation: look()}})
	} else if err == nil {
		_, err = conn.Transact(ctx, look())
	}
	returned := time.Now()
	time.Sleep(100 * time.Millisecond) // for what another goroutine makes of it
	end()
	deadline, _ := ctx.Deadline()
	what := "answer"
	switch {
	case returned.Sub(deadline) > 2*time.Second:
		what = hangs
	case errors.Is(err, context.DeadlineExceeded):
		what = "waits for its context"
	case err != nil:
		what = "error"
	}
	if c.bytes > 0 {
		what += ", " + memory()
	}
	return what
}

// memory is the most that this process has had.
func memory() string {
	status, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kb, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, _ := strconv.Atoi(kb)
	return fmt.Sprintf("%d MiB", n>>10)
}

// A request is what a client sends.
type request struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	ID     json.RawMessage `json:"id"`
}

// proper answers as a server does.
func (r request) proper(w io.Writer) {
	result := map[string]string{
		"list_dbs": `["Open_vSwitch"]`, "transact": `[{"rows":[]}]`, "echo": string(r.Params),
		"get_schema": `{"name":"Open_vSwitch","version":"1.0.0","tables":{"Bridge":{"columns":{"name":{"type":"string"}}}}}`,
	}[r.Method]
	if result != "" {
		_, _ = fmt.Fprintf(w, `{"id":%s,"error":null,"result":%s}`, r.ID, result)
	}
}

// listen serves each connection by answer, until the process ends.
func listen(answer func(request, io.Writer)) {
	listenOn(socket, func(r request, conn net.Conn) { answer(r, conn) })
}

func listenOn(path string, answer func(request, net.Conn)) {
	l, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				for d := json.NewDecoder(conn); ; {
					var r request
					if d.Decode(&r) != nil {
						return
					}
					answer(r, conn)
				}
			}()
		}
	}()
}

package main

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/ovn-org/libovsdb/client"
)

// plays are situations without any hostility.
var plays = map[string]func(name string) string{
	"cut":    func(name string) string { return cut(name, false, inactivity()) },
	"gives":  func(name string) string { return cut(name, true, givesUp()) },
	"silent": silent,
	"deaf":   deaf,
}

func situations() error {
	fmt.Println("\nWithout hostility:\n\n| what happens | libovsdb | pipework |\n|---|---|---|")
	for _, s := range [][2]string{
		{"cut", "each connection is cut after an answer, with WithInactivityCheck, 5 s"},
		{"gives", "the server goes away, with WithReconnect and a backoff that gives up"},
		{"silent", "the server hangs, another endpoint is well, with WithInactivityCheck"},
		{"deaf", "a large request to a server that takes nothing, for 1 s"},
	} {
		us := run(ours, s[0])
		if s[0] == "silent" {
			us = "one endpoint only, so far"
		}
		fmt.Printf("| %s | %s | %s |\n", s[1], run(theirs, s[0]), us)
	}
	return nil
}

// cut has the server close the connection after each answer, and with gone listen no
// more after the first.
func cut(name string, gone bool, how client.Option) string {
	var away atomic.Bool
	listenOn(socket, func(r request, conn net.Conn) {
		if !away.Load() {
			r.proper(conn)
		}
		if away.Load() || r.Method == "transact" {
			away.Store(gone)
			_ = conn.Close()
		}
	})
	conn, end := dial(name, how)
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := conn.Connect(ctx); err != nil {
		return err.Error()
	}
	for ctx.Err() == nil {
		_, _ = conn.Transact(ctx, look())
	}
	return "errors, then answers"
}

// silent has the first endpoint hang after it was connected.
func silent(name string) string {
	first := socket + "1"
	var hangs atomic.Bool
	listenOn(first, func(r request, conn net.Conn) {
		if !hangs.Load() {
			r.proper(conn)
		}
	})
	listenOn(socket, func(r request, conn net.Conn) { r.proper(conn) })
	conn, _ := dial(name, inactivity(), client.WithEndpoint("unix:"+first))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := conn.Connect(ctx); err != nil {
		return err.Error()
	}
	hangs.Store(true)
	time.Sleep(2 * time.Second) // twenty times what the check waits
	if _, err := conn.Transact(ctx, look()); err != nil {
		return "stays with the first"
	}
	return "goes to the other"
}

// deaf has the server read nothing any more.
func deaf(name string) string {
	wait := make(chan struct{})
	listenOn(socket, func(r request, conn net.Conn) {
		r.proper(conn)
		if r.Method == "transact" {
			<-wait
		}
	})
	conn, _ := dial(name)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := conn.Connect(ctx); err != nil {
		return err.Error()
	}
	if _, err := conn.Transact(ctx, look()); err != nil {
		return err.Error()
	}
	short, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		large := look()
		for range 100_000 {
			large.Columns = append(large.Columns, "name")
		}
		_, _ = conn.Transact(short, large)
	}()
	select {
	case <-done:
		return "ends with its context"
	case <-time.After(6 * time.Second):
		return hangs
	}
}

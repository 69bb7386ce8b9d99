//go:build linux

package docker_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"

	"github.com/go-pipework/pipework/config"
	"github.com/go-pipework/pipework/internal/dockertest"
	"github.com/go-pipework/pipework/plugin"
	"github.com/go-pipework/pipework/plugin/docker"
)

// engineEnv tells a test's binary that it is the driver, of the engine at this address.
const engineEnv = "PIPEWORK_TEST_DRIVER"

func TestMain(m *testing.M) {
	if engine := os.Getenv(engineEnv); engine != "" {
		if err := drive(engine); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv(askEnv) != "" {
		if err := ask(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	dockertest.Supervise()
	os.Exit(m.Run())
}

// askEnv has a test's binary print what `pipework list`, `check` and `gc` find.
const askEnv = "PIPEWORK_TEST_ASK"

func ask() error {
	ctx := context.Background()
	h, err := plugin.Open("", config.Declarations{})
	if err != nil {
		return err
	}
	all, _, err := h.Listing(ctx)
	if err != nil {
		return err
	}
	for _, at := range all {
		fmt.Println("list", at.Guest.Name, at.Name, at.Link)
	}
	found, err := h.Status(ctx)
	if err != nil {
		return err
	}
	for _, s := range found {
		fmt.Println("check", s)
	}
	done, err := h.Collect(ctx)
	for _, c := range done {
		fmt.Println("gc", c)
	}
	return err
}

// drive is the driver.
func drive(engine string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	h, err := plugin.Open("", config.Declarations{})
	if err != nil {
		return err
	}
	l, err := docker.Listen(docker.DefaultSocket)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.Log = log
	d := &docker.Driver{Host: h, Log: log, Engine: engine}
	if where := os.Getenv(atEnv); where != "" {
		d.At(pauseAt(where))
	}
	return d.Serve(ctx, l)
}

// atEnv tells the driver where to tell the test that it is there, on its standard output, and to
// wait for its standard input: at a message, or "after" it.
const atEnv = "PIPEWORK_TEST_DRIVER_AT"

func pauseAt(where string) func(message string, did bool) {
	var once sync.Once
	return func(message string, did bool) {
		if did {
			message += " after"
		}
		if message != where {
			return
		}
		once.Do(func() {
			fmt.Println("there")
			_, _ = os.Stdin.Read(make([]byte, 1))
		})
	}
}

//go:build linux

package contract

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/go-pipework/pipework/internal/fault"
)

var errInjected = errors.New("injected failure")

// short is the stride with -short: make quick is to take less than two minutes.
const short = 13

// EveryStep calls do with a context in which the first step fails, then with one
// in which the second does, until none failed; with -short in which each thirteenth does, and in
// User-Mode Linux each third. It returns how many there are.
func EveryStep(t *testing.T, do func(context.Context) error) int {
	return fails(t, every(), fault.With, do)
}

// EveryKill is EveryStep for a caller that is killed at each.
func EveryKill(t *testing.T, do func(context.Context) error) int {
	return fails(t, every(), fault.Kill, do)
}

// Stride is how far apart the steps are that a test of its own has fail: 1, and with -short 13.
func Stride() int {
	if testing.Short() {
		return short
	}
	return 1
}

// every is the stride for attach and detach. What User-Mode Linux is for are VLANs and dummies,
// most of whose steps are those of kinds that are taken one by one on the machine's own kernel.
func every() int {
	if os.Getenv("PIPEWORK_LANE") == "uml" && os.Getenv("PIPEWORK_LONG") == "" {
		return 3
	}
	return 1
}

// SomeSteps is EveryStep for some of them, with a context of [fault.With] or [fault.Kill].
func SomeSteps(t *testing.T, with func(context.Context, fault.Injector) context.Context, do func(context.Context) error) int {
	return fails(t, some(), with, do)
}

// some is the stride for an update, which has many steps: a fifth of them, in the lanes'
// slower machines less, with PIPEWORK_LONG in the environment each.
func some() int {
	switch lane := os.Getenv("PIPEWORK_LANE"); {
	case os.Getenv("PIPEWORK_LONG") != "":
		return 1
	case lane == "qemu":
		return 10
	case lane != "":
		return 7
	}
	return 5
}

// fails has every step fail, or with another stride some.
func fails(t *testing.T, stride int, with func(context.Context, fault.Injector) context.Context, do func(context.Context) error) int {
	if testing.Short() {
		stride = short
	}
	for n := 1; ; n += stride {
		var mu sync.Mutex
		var count int
		var failed string
		ctx := with(t.Context(), func(step string) error {
			mu.Lock()
			defer mu.Unlock()
			if count++; count == n {
				failed = step
				return fmt.Errorf("%w of %s", errInjected, step)
			}
			return nil
		})
		err := do(ctx)
		if err != nil && !errors.Is(err, errInjected) {
			t.Errorf("error after an injected failure: %v", err)
		}
		if t.Failed() {
			t.Fatalf("after a failure of step %d, %s", n, failed)
		}
		if failed == "" {
			return count
		}
	}
}

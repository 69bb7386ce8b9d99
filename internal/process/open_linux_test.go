package process_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/ns"
)

func TestMain(m *testing.M) { nstest.Main(m) }

// TestOpen: the process that is opened is the one that was named before and after.
func TestOpen(t *testing.T) {
	a, b, dead := nstest.Process(t).PID, nstest.Process(t).PID, nstest.Process(t)
	if err := dead.Kill(); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	for _, row := range []struct {
		name string
		says []int // what the runtime says, the last for ever; 0 is an error
		want int   // 0: none
		err  error
	}{
		{"stays", []int{a}, a, nil},
		{"restarted meanwhile", []int{a, b}, b, nil},
		{"ended before it was opened", []int{dead.PID, a}, a, nil},
		{"gone meanwhile", []int{a, 0}, 0, gone},
		{"never stays", []int{a, b, a, b, a, b, a, b, a, b, a, b}, 0, fs.ErrNotExist},
		{"ended and still named", []int{dead.PID}, 0, fs.ErrNotExist},
	} {
		t.Run(row.name, func(t *testing.T) {
			asked := 0
			g, err := process.Open(t.Context(), func(context.Context) (ns.Identity, error) {
				pid := row.says[min(asked, len(row.says)-1)]
				asked++
				if pid == 0 {
					return ns.Identity{}, gone
				}
				return ns.Identity{Name: "web", PID: pid}, nil
			})
			if !errors.Is(err, row.err) || err == nil && (g.PID != row.want || g.Name != "web") {
				t.Errorf("got %v, %v", g, err)
			}
			if err == nil {
				_ = g.Close()
			}
		})
	}
}

func TestOpenEndsWithContext(t *testing.T) {
	dead := nstest.Process(t)
	_ = dead.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
	defer cancel()
	_, err := process.Open(ctx, func(context.Context) (ns.Identity, error) { return ns.Identity{Name: "web", PID: dead.PID}, nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestBelongs: in a sandbox everything is in a user namespace that this user made.
func TestBelongs(t *testing.T) {
	_, g := nstest.Guest(t)
	if !process.Belongs(g, 0) || process.Belongs(g, 54321) {
		t.Error("belongs to somebody else")
	}
}

func TestStarted(t *testing.T) {
	older, younger := nstest.Process(t), nstest.Process(t)
	a, err := process.Started(older.PID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := process.Started(younger.PID)
	if err != nil || a > b || a == 0 {
		t.Errorf("%d began at %d, %d at %d: %v", older.PID, a, younger.PID, b, err)
	}
}

//go:build linux

package pipework_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/contract"
	"github.com/go-pipework/pipework/link"
)

// A collector has one thing to collect, or fails.
type collector struct {
	name string
	err  error
}

func (c collector) Collect(ctx context.Context, h link.Host) ([]link.Collected, error) {
	if _, err := h.Conn.Index(ctx, "lo"); err != nil {
		return nil, err
	}
	return []link.Collected{{Name: c.name}}, c.err
}

func (c collector) Orphans(context.Context, link.Host) ([]link.Collected, error) {
	return []link.Collected{{Name: "would " + c.name}}, c.err
}

// TestCollectors has one that fails: the others are asked all the same, on the host.
func TestCollectors(t *testing.T) {
	stuck := errors.New("stuck")
	a := pipework.Attacher{Collectors: []link.Collector{collector{name: "port1", err: stuck}, collector{name: "port2"}}}
	names, err := a.Collect(t.Context())
	e, typed := errors.AsType[*pipework.Error](err)
	if !slices.Equal(contract.Names(names), []string{"port1", "port2"}) || !errors.Is(err, stuck) || !typed || e.Stage != pipework.StageLink {
		t.Errorf("collected %q, %v", names, err)
	}
	a.Collectors = a.Collectors[1:]
	if names, err := a.Orphans(t.Context()); !slices.Equal(contract.Names(names), []string{"would port2"}) || err != nil {
		t.Errorf("would collect %q, %v", names, err)
	}
}

package firewall

import (
	"context"
	"errors"
	"testing"

	"github.com/google/nftables"

	"github.com/go-pipework/pipework/internal/fault"
	"github.com/go-pipework/pipework/internal/firewalltest"
)

// TestPorts makes the table, finds what others did to it, makes it again, and removes it.
func TestPorts(t *testing.T) {
	h := fwNS(t)
	p := Ports{Do: h.Do, Group: 7, Bit: 1 << 31}
	is := func(there, held bool) {
		t.Helper()
		if got, err := p.There(t.Context()); got != there || err != nil {
			t.Errorf("there: %v, %v; want %v", got, err, there)
		}
		if got, err := p.Held(t.Context()); got != held || err != nil {
			t.Errorf("held: %v, %v; want %v", got, err, held)
		}
	}
	hold := func() {
		t.Helper()
		if err := p.Hold(t.Context()); err != nil {
			t.Fatal(err)
		}
		is(true, true)
	}
	is(false, false)
	hold()
	hold()
	if got, err := (Ports{Do: h.Do, Group: 8, Bit: 1}).Held(t.Context()); got || err != nil {
		t.Errorf("with other numbers: %v, %v", got, err)
	}
	for name, change := range map[string]func(*nftables.Conn){
		"rules": func(c *nftables.Conn) { c.FlushTable(portsTable()) },
		"chain": func(c *nftables.Conn) {
			c.FlushChain(&nftables.Chain{Name: "input", Table: portsTable()})
			c.DelChain(&nftables.Chain{Name: "input", Table: portsTable()})
		},
		"more": func(c *nftables.Conn) {
			c.AddRule(&nftables.Rule{Table: portsTable(), Chain: &nftables.Chain{Name: "prerouting", Table: portsTable()}, Exprs: p.chains()[1].rules[0]})
		},
		"empty": func(c *nftables.Conn) {
			c.DelTable(portsTable())
			c.AddTable(portsTable())
		},
	} {
		t.Run(name, func(*testing.T) {
			firewalltest.Edit(t, h, change)
			is(true, false)
			hold()
		})
	}
	for range 2 {
		if err := p.Release(t.Context()); err != nil {
			t.Error(err)
		}
		is(false, false)
	}
}

// TestPortsFaults fails every step in turn, and wants no table, or all of it.
func TestPortsFaults(t *testing.T) {
	h := fwNS(t)
	p := Ports{Do: h.Do, Group: 7, Bit: 1 << 31}
	boom := errors.New("boom")
	for n := 0; ; n++ {
		left := n
		ctx := fault.With(context.Background(), func(string) error {
			if left--; left < 0 {
				return boom
			}
			return nil
		})
		err := p.Hold(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, boom) {
			t.Errorf("step %d: %v", n, err)
		}
		if there, err := p.There(t.Context()); there || err != nil {
			t.Errorf("step %d: there: %v, %v", n, there, err)
		}
	}
	if err := p.Hold(fault.ReadOnly(t.Context())); err != nil {
		t.Errorf("nothing to change: %v", err)
	}
	if err := p.Release(fault.ReadOnly(t.Context())); err == nil {
		t.Error("a call that is to change nothing has removed the table")
	}
}

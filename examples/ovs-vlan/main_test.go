//go:build linux

package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/ovs"
)

func TestMain(m *testing.M) { nstest.MainRoot(m) }

const want = `  +---------------------- ovs0 ---------------------+
      |              |              |              |
  VLAN 100       VLAN 100       VLAN 200       VLAN 200
     c1             c2             c3             c4
192.168.0.1    192.168.0.2    192.168.0.3    192.168.0.4

reaches       c1    c2    c3    c4
  c1         yes   yes     -     -
  c2         yes   yes     -     -
  c3           -     -   yes   yes
  c4           -     -   yes   yes
`

func TestRun(t *testing.T) {
	db := ovstest.Start(t)
	db.Standard(t)
	db.Switch(t, ovstest.Userspace, nil)
	before := db.Dump(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	if err := run(ctx, &out, ovs.Netdev); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, db.Dump(t)); diff != "" {
		t.Error(diff)
	}
}

//go:build linux

package cni_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
)

// call is one call of the plugin, as a process that ctx kills.
func (r *runtime) call(ctx context.Context, verb, netns, conf string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(r.state), "pipework"))
	cmd.Env = append(os.Environ(), "CNI_COMMAND="+verb, "CNI_CONTAINERID=3f2a", "CNI_IFNAME=eth0", "CNI_NETNS="+netns, "CNI_PATH=/usr/lib/cni")
	cmd.Stdin = strings.NewReader(`{"cniVersion": "1.0.0", "name": "lan", ` + conf + `}`)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// TestKilled kills ADD and DEL at random moments: a DEL afterwards leaves nothing.
func TestKilled(t *testing.T) {
	r := newRuntime(t)
	name, g := nstest.Guest(t)
	netns := "/run/netns/" + string(name)
	before := nstest.Observe(t, g.Handle)
	began := time.Now()
	for _, verb := range []string{"ADD", "DEL"} {
		if err := r.call(t.Context(), verb, netns, plain); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(began) / 2
	rounds := 30
	if testing.Short() {
		rounds = 6
	}
	killed := 0
	for i := range rounds {
		verbs := []string{"ADD", "DEL"}[:1+i%2] // the last one is killed
		for j, verb := range verbs {
			ctx, cancel := context.WithCancel(t.Context())
			if j == len(verbs)-1 {
				ctx, cancel = context.WithTimeout(t.Context(), rand.N(took))
			}
			err := r.call(ctx, verb, netns, plain)
			if cancel(); err != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Fatal(err)
			}
			if err != nil {
				killed++
			}
		}
		if err := r.call(t.Context(), "DEL", netns, plain); err != nil {
			t.Fatal(err)
		}
		r.nothingLeft()
		before.Unchanged(t)
	}
	t.Logf("%d of %d calls killed", killed, rounds)
}

// TestDHCP: an address from the LAN's own server is in the result, and is given back.
func TestDHCP(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	r := newRuntime(t)
	dhcptest.Network(t)
	server := dhcptest.Dnsmasq(t)
	lan := network(t, "1.0.0", "lan", `"type": "pipework", "link": {"bridge": {"name": "`+dhcptest.Bridge+`"}}, "dhcp": {}, "capabilities": {"mac": true}`)
	const mac = "02:00:00:00:05:09"
	c, _ := container(t, "3f2a", map[string]any{"mac": mac})
	got := r.add(lan, c)
	if len(got.IPs) != 1 || got.IPs[0].Gateway == nil || len(got.Routes) == 0 {
		t.Errorf("%v", got)
	}
	if err := r.cni.CheckNetworkList(t.Context(), lan, c); err != nil {
		t.Error(err)
	}
	server.Eventually(t, "the lease", func(leases string) bool { return strings.Contains(leases, mac) })
	r.del(lan, c)
	server.Eventually(t, "no lease", func(leases string) bool { return !strings.Contains(leases, mac) })
	r.nothingLeft()
}

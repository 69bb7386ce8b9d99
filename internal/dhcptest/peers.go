//go:build linux

package dhcptest

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// Run runs a program inside a guest (nil: here) with this input, to its end.
func Run(t testing.TB, g *ns.Guest, input, program string, args ...string) {
	t.Helper()
	run(t, g, exec.Command(program, args...), input)
}

func run(t testing.TB, g *ns.Guest, cmd *exec.Cmd, input string) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &out
	must(t, launch(g, cmd))
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, out.String())
	}
}

// A CNI is the dhcp plugin of the CNI project with its daemon, for one guest.
type CNI struct {
	plugin, socket string
	guest          string
}

// NewCNI starts the daemon, for the length of the test, for a guest with a name.
func NewCNI(t testing.TB, g *ns.Guest) *CNI {
	t.Helper()
	dir := t.TempDir()
	c := &CNI{plugin: Need(t, "cni/dhcp"), socket: dir + "/socket", guest: "/run/netns/" + strings.TrimPrefix(g.Name, "netns:")}
	startIn(t, nil, dir, "", c.plugin, "daemon", "-socketpath", c.socket, "-pidfile", dir+"/pid")
	testwait.Eventually(t, "the daemon listens", func() bool {
		conn, err := net.Dial("unix", c.socket)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return c
}

// Add asks for a lease for eth1.
func (c *CNI) Add(t testing.TB) { t.Helper(); c.run(t, "ADD") }

// Del gives it back.
func (c *CNI) Del(t testing.TB) { t.Helper(); c.run(t, "DEL") }

func (c *CNI) run(t testing.TB, what string) {
	t.Helper()
	cmd := exec.Command(c.plugin)
	cmd.Env = []string{"CNI_COMMAND=" + what, "CNI_CONTAINERID=bench", "CNI_NETNS=" + c.guest, "CNI_IFNAME=eth1", "CNI_PATH=/usr/lib/cni"}
	run(t, nil, cmd, fmt.Sprintf(`{"cniVersion":"1.0.0","name":"lan","type":"none","ipam":{"type":"dhcp","daemonSocketPath":%q}}`, c.socket))
}

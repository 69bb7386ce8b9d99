//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// leaseTime of the server, in seconds.
const leaseTime = 3

// A scene is a guest, a server, and a process that keeps the guest's lease. Each
// can be killed.
type scene struct {
	*testing.T
	guest  *sandbox.Process
	server *dhcptest.Server
	keeper *exec.Cmd
	said   bytes.Buffer // by the keeper
	ended  chan struct{}
	alive  map[string]bool
}

// begin plugs the guest in with this address word, and waits for the address.
func begin(t *testing.T, address string) *scene {
	t.Helper()
	s := &scene{T: t, guest: nstest.Process(t), ended: make(chan struct{}), alive: map[string]bool{"guest": true, "server": true, "keeper": true}}
	s.server = dhcptest.ISC(t, leaseTime, 50, 60)
	s.keeper = exec.Command("/proc/self/exe", dhcptest.Bridge, fmt.Sprintf("pid:%d", s.guest.PID), address)
	s.keeper.Env = append(os.Environ(), "PIPEWORK_STATE="+t.TempDir())
	s.keeper.Args[0], s.keeper.Stdout, s.keeper.Stderr = "pipework", &s.said, &s.said
	if err := s.keeper.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.keeper.Wait(); close(s.ended) }()
	t.Cleanup(func() { _ = s.keeper.Process.Kill(); <-s.ended })
	s.eventually("the guest has an address", s.hasAddress)
	if len(hostEnds(t)) != 1 {
		t.Errorf("the host's ends: %q", hostEnds(t))
	}
	return s
}

func (s *scene) eventually(what string, ok func() bool) {
	s.Helper()
	defer func() {
		if s.Failed() && s.keeperEnded() {
			s.Log("the keeper said:", s.said.String())
		}
	}()
	testwait.Eventually(s.T, what, ok)
}

func (s *scene) hasAddress() bool {
	at, err := pipework.Check(s.Context(), ns.PID(s.guest.PID), pipework.Spec{})
	return err == nil && len(at.Addrs) > 0
}

func (s *scene) keeperEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// kill kills one, and waits for what must follow.
func (s *scene) kill(who string) {
	s.alive[who] = false
	switch who {
	case "guest":
		_ = s.guest.Kill()
		s.eventually("the host's end is gone", func() bool { return len(hostEnds(s.T)) == 0 })
	case "server":
		s.server.Stop()
	case "keeper":
		_ = s.keeper.Process.Signal(syscall.SIGKILL)
		<-s.ended
	}
	if !s.alive["guest"] {
		s.eventually("the keeper has ended", s.keeperEnded)
	}
	if s.alive["guest"] && (!s.alive["server"] || !s.alive["keeper"]) {
		s.eventually("the address is gone, which nobody extends", func() bool { return !s.hasAddress() })
	}
	if s.alive["server"] && (!s.alive["guest"] || !s.alive["keeper"]) {
		s.eventually("the server has its address back", func() bool {
			leases := s.server.Leases(s.T)
			return strings.LastIndex(leases, "\n  binding state free;") > strings.LastIndex(leases, "\n  binding state active;")
		})
	}
}

func hostEnds(t *testing.T) (ends []string) {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if strings.HasPrefix(i.Name, "veth1pl") {
			ends = append(ends, i.Name)
		}
	}
	return ends
}

// TestKilledInAnyOrder kills guest, server and keeper in every order, as abruptly
// as can be, and finds nothing left that should be gone.
func TestKilledInAnyOrder(t *testing.T) {
	if os.Getenv("PIPEWORK_LANE") != "" {
		t.Skip("waits for much, and depends on nothing that a lane's kernel has: runs on the host")
	}
	dhcptest.Need(t, "dhcpd")
	dhcptest.Network(t)
	orders := [][3]string{
		{"guest", "server", "keeper"}, {"guest", "keeper", "server"}, {"server", "guest", "keeper"},
		{"server", "keeper", "guest"}, {"keeper", "guest", "server"}, {"keeper", "server", "guest"},
	}
	if testing.Short() {
		orders = orders[:1]
	}
	for _, order := range orders {
		t.Run(strings.Join(order[:], ", "), func(t *testing.T) {
			world := nstest.Observe(t)
			s := begin(t, "dhcp:-f")
			for _, who := range order {
				s.kill(who)
			}
			world.Unchanged(t)
		})
	}
}

// TestProgramEndsWithKeeper kills the process that runs a program, which cannot
// end it any more: the kernel does.
func TestProgramEndsWithKeeper(t *testing.T) {
	dhcptest.Need(t, "dhcpd")
	dhcptest.Need(t, "udhcpc")
	dhcptest.Network(t)
	s := begin(t, "udhcpc-f")
	pidFile := fmt.Sprintf("/run/udhcpc.pid:%d.pid", s.guest.PID)
	var program string
	s.eventually("the pid file is there", func() bool {
		text, err := os.ReadFile(pidFile)
		program = "/proc/" + strings.TrimSpace(string(text)) + "/ns"
		return err == nil && len(text) > 0
	})
	if _, err := os.Stat(program); err != nil {
		t.Fatal(err)
	}
	_ = s.keeper.Process.Signal(syscall.SIGKILL)
	<-s.ended
	s.eventually("the program has ended", func() bool {
		_, err := os.Stat(program)
		return errors.Is(err, fs.ErrNotExist)
	})
	_ = os.Remove(pidFile) // what is left is a number that is nobody's
}

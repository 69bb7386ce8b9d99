//go:build linux

package find_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

const machines = "/run/systemd/machines"

// boot starts a container of systemd-nspawn and waits until it is registered. No
// systemd runs on this machine: the container is given a service's control group
// instead of a scope of systemd's making.
func boot(t *testing.T, root, name string) *exec.Cmd {
	t.Helper()
	unit := "system.slice/" + name + ".service"
	script := fmt.Sprintf(`for h in unified systemd; do
		mkdir -p /sys/fs/cgroup/$h/%[1]s
		echo $$ >/sys/fs/cgroup/$h/%[1]s/cgroup.procs
	done
	exec systemd-nspawn -q -D %[2]s --register=yes --keep-unit --private-network --as-pid2 -M %[3]s /bin/sleep 100000`, unit, root, name)
	cmd := runtimetest.Daemon(t, "sh", "-ec", script)
	runtimetest.Socket(t, machines+"/"+name)
	return cmd
}

func TestMachine(t *testing.T) {
	runtimetest.Require(t, "nspawn", "systemd-nspawn", "dbus-daemon", "busybox")
	fails(t, "machine:box", fs.ErrNotExist, "no systemd-machined here: there is no "+machines)
	runtimetest.Daemon(t, "dbus-daemon", "--system", "--nofork", "--nopidfile")
	runtimetest.Socket(t, "/run/dbus/system_bus_socket")
	runtimetest.Daemon(t, "/lib/systemd/systemd-machined")
	testwait.Eventually(t, "systemd-machined is on the bus", func() bool {
		_, err := runtimetest.Try(t, "busctl", "status", "org.freedesktop.machine1")
		return err == nil
	})
	t.Cleanup(func() { _ = os.RemoveAll("/run/systemd") })
	root := runtimetest.Rootfs(t)
	cmd := boot(t, root, "box")
	lane{
		words: []string{"box", "machine:box", "nspawn:box"},
		id:    ns.Identity{Name: "box"},
		restart: func() {
			if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
			testwait.Eventually(t, "the machine is gone", func() bool {
				_, err := os.Stat(machines + "/box")
				return err != nil
			})
			_ = cmd.Wait()
			fails(t, "box", fs.ErrNotExist, `no guest is called "box": looked in`)
			fails(t, "machine:box", fs.ErrNotExist, `no machine "box" is registered: see machinectl list`)
			cmd = boot(t, root, "box")
		},
	}.drive(t)

	// What a systemd-machined that was killed may leave behind, and what is none of ours.
	other := nstest.Process(t)
	for name, state := range map[string]string{"old": "SCOPE=box.service\nLEADER=%d\nCLASS=container\n", "kvm": "SCOPE=box.service\nLEADER=%d\nCLASS=vm\n"} {
		if err := os.WriteFile(machines+"/"+name, fmt.Appendf(nil, state, other.PID), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fails(t, "old", fs.ErrNotExist, "machine old has ended: process")
	fails(t, "machine:kvm", fs.ErrInvalid, "machine kvm is a virtual machine: it has no network namespace to plug into")
}

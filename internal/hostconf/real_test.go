//go:build linux

package hostconf_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/sandbox"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/uplink"
)

// A host has a NIC, and a network manager that is the real one, in a mount namespace of its own with
// the manager's packages.
type host struct {
	guest *ns.Guest
	plan  uplink.Plan
	dir   string // of the manager's files
	said  *os.File
}

// root is the manager's: this machine's, with the packages, and the files of the test. /sys is that of
// the network namespace, and as in a container nobody waits for udev.
const root = `set -e
mount --make-rprivate /
mkdir -p $D/t && mount -t tmpfs t $D/t && mkdir $D/t/w $D/t/m && cp -a $UNPACKED $D/t/u
mount -t overlay -o lowerdir=/,upperdir=$D/t/u,workdir=$D/t/w o $D/t/m
for d in proc dev run; do mount --rbind /$d $D/t/m/$d; done
mount -t sysfs -o ro s $D/t/m/sys
mount -t tmpfs t $D/t/m/etc/systemd/network
cp -a $D/files/. $D/t/m/
exec chroot $D/t/m sh -c "$1"`

func newHost(t *testing.T) *host {
	t.Helper()
	unpacked, err := filepath.Abs("../../bin/managers")
	if err == nil {
		_, err = os.Stat(unpacked)
	}
	switch {
	case !sandbox.IsRoot() || os.Getenv("PIPEWORK_LANE") != "":
		t.Skip("lane managers needs root")
	case err != nil && nstest.Required(lane):
		t.Fatal(err)
	case err != nil:
		t.Skipf("lane managers: %v: make packages", err)
	}
	nstest.Ran(lane)
	t.Setenv("UNPACKED", unpacked)
	h := &host{dir: t.TempDir()}
	_, h.guest = nstest.Guest(t)
	t.Setenv("D", h.dir)
	if h.said, err = os.Create(filepath.Join(h.dir, "said")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(h.said.Name())
			t.Logf("%s", text)
		}
		_ = h.said.Close()
	})
	h.ip(t, "link add nic0 address 02:00:00:00:0b:01 type veth peer name w0", "link set w0 up", "link set nic0 up")
	store, err := keep.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	h.plan = uplink.Plan{NIC: "nic0", Bridge: "br0", Store: store, Host: h.guest.Handle}
	return h
}

func (h *host) ip(t *testing.T, lines ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	h.run(t, cmd)
}

func (h *host) run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := h.guest.Exec(t.Context(), cmd); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out.String())
	}
	return out.String()
}

// have are addresses and routes of the link, without what managers do in their own way: connected
// routes, who has made a route, and the order.
func (h *host) have(t *testing.T, link string) string {
	t.Helper()
	var lines []string
	for _, words := range []string{"-o addr show dev " + link + " scope global", "-4 route show table all dev " + link, "-6 route show table all dev " + link} {
		for line := range strings.Lines(h.run(t, exec.CommandContext(t.Context(), "ip", strings.Fields(words)...))) {
			f := strings.Fields(line)
			switch {
			case strings.Contains(line, "proto kernel"), strings.Contains(line, "table local"):
				continue
			case f[0] != "default" && strings.HasSuffix(f[0], ":"):
				lines = append(lines, f[3])
				continue
			}
			if i := slices.Index(f, "proto"); i >= 0 {
				f = slices.Delete(f, i, i+2)
			}
			lines = append(lines, strings.Join(slices.DeleteFunc(f, func(word string) bool { return word == "linkdown" }), " "))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// files puts the files where the manager finds them, in place of those that were there.
func (h *host) files(t *testing.T, all ...uplink.ConfigFile) {
	t.Helper()
	base := filepath.Join(h.dir, "files")
	if err := errors.Join(os.RemoveAll(base), os.MkdirAll(base, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		path := filepath.Join(base, f.Path)
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(path, ".nmconnection") {
			mode = 0o600
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(f.Text), mode)); err != nil {
			t.Fatal(err)
		}
	}
}

// start starts what the shell's line says, and returns what ends it.
func (h *host) start(t *testing.T, line string) (stop func()) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "unshare", "-m", "sh", "-c", root, "sh", line)
	cmd.Stdout, cmd.Stderr = h.said, h.said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := h.guest.Start(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if !ended {
			ended = true
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	return stop
}

// A manager is one of the real ones.
type manager struct {
	name   string
	line   string              // starts it
	always []uplink.ConfigFile // its own
	plain  uplink.ConfigFile   // has it look after nic0
	says   string              // in a refusal
	// settled is what its log says when it has looked at all interfaces.
	settled string
}

var managers = []manager{
	{
		name: "networkd", line: "SYSTEMD_LOG_TARGET=console exec /lib/systemd/systemd-networkd",
		plain: uplink.ConfigFile{Path: "/etc/systemd/network/10-nic0.network", Text: "[Match]\nName=nic0\n[Network]\nAddress=10.67.0.2/24\nIPv6AcceptRA=no\n"},
		says:  "systemd-networkd looks after nic0", settled: "Enumeration completed",
	},
	{
		name: "NetworkManager",
		line: `mkdir -p /run/dbus; dbus-daemon --system --nofork --nopidfile & until [ -S /run/dbus/system_bus_socket ]; do :; done
			exec NetworkManager --debug --log-level=INFO`,
		always: []uplink.ConfigFile{{Path: "/etc/NetworkManager/NetworkManager.conf", Text: "[main]\nplugins=keyfile\ndns=none\nrc-manager=unmanaged\n[connectivity]\nenabled=false\n[keyfile]\nunmanaged-devices=interface-name:w0\n"}},
		plain:  uplink.ConfigFile{Path: "/etc/NetworkManager/system-connections/nic0.nmconnection", Text: "[connection]\nid=nic0\ntype=ethernet\ninterface-name=nic0\n[ipv4]\nmethod=manual\naddress1=10.67.0.2/24\n[ipv6]\nmethod=link-local\n"},
		says:   "NetworkManager looks after nic0", settled: "startup complete",
	},
}

// richly gives the NIC what files can say.
func (h *host) richly(t *testing.T) {
	t.Helper()
	h.ip(t, "addr flush dev nic0", "addr add 10.67.0.2/24 dev nic0", "addr add 10.67.0.3/24 dev nic0", "addr add fd67::2/64 dev nic0 nodad",
		"route add default via 10.67.0.1", "route add 10.9.0.0/16 via 10.67.0.9 metric 5 src 10.67.0.3", "route add default via 10.67.0.1 table 100",
		"route add 10.8.0.0/16 dev nic0 scope link metric 7", "route add fd20::/64 via fd67::9 metric 77", "route add default via fd67::1")
}

// bare takes all of it again, as after a start of the machine.
func (h *host) bare(t *testing.T) {
	t.Helper()
	h.ip(t, "addr flush dev nic0")
	for _, family := range []string{"-4", "-6"} {
		h.run(t, exec.CommandContext(t.Context(), "ip", family, "route", "flush", "dev", "nic0", "table", "all"))
	}
	h.ip(t, "link set nic0 down", "link set nic0 up")
}

// comes waits until the bridge is what the NIC was.
func (h *host) comes(t *testing.T, want string) {
	t.Helper()
	var is string
	t.Cleanup(func() {
		if is != want {
			t.Logf("wanted\n%s\nand had\n%s", want, is)
		}
	})
	testwait.Eventually(t, "the bridge is there", func() bool {
		links := h.run(t, exec.CommandContext(t.Context(), "ip", "-o", "link"))
		if !strings.Contains(links, " br0: ") {
			return false
		}
		is = h.have(t, "br0")
		return is == want && strings.Contains(links, "master br0")
	})
	if link := h.run(t, exec.CommandContext(t.Context(), "ip", "link", "show", "br0")); !strings.Contains(link, "02:00:00:00:0b:01") {
		t.Errorf("the bridge has another MAC than the NIC: %s", link)
	}
}

// TestManagers has the real ones look after a NIC, which is refused and told, leave it alone as is
// printed, and make the bridge as is printed.
func TestManagers(t *testing.T) {
	for _, m := range managers {
		t.Run(m.name, func(t *testing.T) {
			h := newHost(t)
			owned(t, "/run/systemd/netif/links", "/run/systemd/netif/leases", "/run/systemd/netif/lldp")
			h.files(t, append(m.always, m.plain)...)
			stop := h.start(t, m.line)
			testwait.Eventually(t, "it gives the NIC its address", func() bool { return strings.Contains(h.have(t, "nic0"), "10.67.0.2/24") })
			testwait.Eventually(t, "it says so", func() bool {
				x, err := uplink.Examine(t.Context(), h.plan)
				return err == nil && len(x.Refused) > 0
			})
			if _, err := uplink.Move(t.Context(), h.plan); !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), m.says) || !strings.Contains(err.Error(), "--print-config "+m.name+" br0 nic0") {
				t.Errorf("got %v", err)
			}
			stop()

			h.bare(t)
			h.richly(t)
			want := h.have(t, "nic0")
			lasting, err := uplink.Config(t.Context(), h.plan, m.name)
			if err != nil {
				t.Fatal(err)
			}
			instead := func(f uplink.ConfigFile) bool { return f.Instead }
			alone := slices.DeleteFunc(slices.Clone(lasting), func(f uplink.ConfigFile) bool { return !f.Instead })
			h.files(t, append(append(m.always, m.plain), alone...)...)
			said, _ := os.ReadFile(h.said.Name())
			stop = h.start(t, m.line)
			testwait.Eventually(t, "it has looked at all interfaces", func() bool {
				text, _ := os.ReadFile(h.said.Name())
				return strings.Contains(string(text[len(said):]), m.settled)
			})
			if moved, err := uplink.Move(t.Context(), h.plan); err != nil || len(moved.Warnings) > 0 {
				t.Errorf("%+v, %v", moved, err)
			}
			if is := h.have(t, "br0"); is != want {
				t.Errorf("the bridge has\n%s\nand not\n%s", is, want)
			}
			if _, err := uplink.Undo(t.Context(), h.plan); err != nil {
				t.Error(err)
			}
			stop()

			h.bare(t)
			h.files(t, append(m.always, slices.DeleteFunc(lasting, instead)...)...)
			stop = h.start(t, m.line)
			h.comes(t, want)
			stop()
		})
	}
}

// owned makes directories that systemd makes for networkd.
func owned(t *testing.T, dirs ...string) {
	t.Helper()
	u, err := user.Lookup("systemd-network")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for _, dir := range dirs {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chown(dir, uid, gid), os.Chown(filepath.Dir(dir), uid, gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNetplan has what is printed read by netplan, and what that makes of it by networkd.
func TestNetplan(t *testing.T) {
	h := newHost(t)
	h.richly(t)
	want := h.have(t, "nic0")
	lasting, err := uplink.Config(t.Context(), h.plan, "netplan")
	if err != nil {
		t.Fatal(err)
	}
	h.bare(t)
	h.files(t, lasting[0])
	owned(t, "/run/systemd/netif/links", "/run/systemd/netif/leases", "/run/systemd/netif/lldp")
	stop := h.start(t, "mkdir /gen /gen/etc; cp -a /etc/netplan /gen/etc/; /usr/lib/netplan/generate --root-dir /gen && cp /gen/run/systemd/network/* /etc/systemd/network/ && "+managers[0].line)
	h.comes(t, want)
	stop()
}

// TestIfupdown has ifup do what is printed, with the bridges of bridge-utils.
func TestIfupdown(t *testing.T) {
	h := newHost(t)
	h.richly(t)
	want := h.have(t, "nic0")
	lasting, err := uplink.Config(t.Context(), h.plan, "ifupdown")
	if err != nil {
		t.Fatal(err)
	}
	h.bare(t)
	h.files(t, lasting[0], uplink.ConfigFile{Path: "/etc/network/interfaces", Text: "source interfaces.d/*\n"})
	_ = os.MkdirAll("/run/network", 0o755)
	stop := h.start(t, fmt.Sprintf("ifquery --list && ifup -v %s", h.plan.Bridge))
	h.comes(t, want)
	stop()
}

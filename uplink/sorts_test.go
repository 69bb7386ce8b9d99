//go:build linux

package uplink_test

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/ovstest"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/ovs"
)

// A sort is of bridges.
type sort struct {
	ovs      bool // of Open vSwitch, with this datapath
	datapath ovstest.Datapath
}

// sorts runs a test for bridges of Linux, and for those of Open vSwitch.
func sorts(t *testing.T, test func(*testing.T, sort)) {
	t.Run("linux", func(t *testing.T) { test(t, sort{}) })
	switches(t, test)
}

// switches runs a test for bridges of Open vSwitch, with each datapath that is to be had.
func switches(t *testing.T, test func(*testing.T, sort)) {
	t.Run("userspace", func(t *testing.T) { test(t, sort{true, ovstest.Userspace}) })
	t.Run("kernel", func(t *testing.T) { test(t, sort{true, ovstest.Kernel}) })
}

// on has the scene's bridge, br0, be of the sort: it starts Open vSwitch on the host.
func (as sort) on(t *testing.T, s *scene) {
	t.Helper()
	if !as.ovs {
		return
	}
	s.db, s.datapath = ovstest.Start(t), as.datapath
	s.vswitchd = s.db.Switch(t, as.datapath, s.host.Handle)
	client := &ovs.Client{Endpoint: s.db.Endpoint}
	t.Cleanup(func() { _ = client.Close() })
	s.plan.OVS, s.plan.Bridge = client, "ovs:br0"
	if as.datapath == ovstest.Userspace { // which passes frames on as they are, also those whose checksums a NIC is to fill in
		noChecksumOffload(t, s.remote, "eth0")
	}
}

// bridgeOnSwitch makes a bridge with a port of somebody else's, and settings of its own.
func (s *scene) bridgeOnSwitch(t *testing.T) {
	t.Helper()
	ip(t, s.host, "link add p1 type veth peer name p2", "link set p2 up", "link set p1 up")
	s.addBridge(t, "--", "set", "bridge", "br0", "other_config:hwaddr=02:00:00:00:00:0b", "--", "add-port", "br0", "p1")
	sysctl(t, s.host, "net.ipv6.conf.br0.accept_ra=0", "net.ipv4.conf.br0.rp_filter=1")
	ip(t, s.host, "link set br0 up")
	atRest(t, s.host)
}

// addBridge makes br0, and does what the arguments say, in one transaction.
func (s *scene) addBridge(t *testing.T, more ...string) {
	t.Helper()
	args := []string{"add-br", "br0"}
	if s.datapath == ovstest.Userspace {
		args = append(args, "--", "set", "bridge", "br0", "datapath_type=netdev")
	}
	s.db.Vsctl(t, append(args, more...)...)
}

// join makes an interface of the host a port of br0.
func (s *scene) join(t *testing.T, name string) {
	t.Helper()
	if s.db == nil {
		ip(t, s.host, "link set "+name+" master br0 up")
		return
	}
	sysctl(t, s.host, "net.ipv6.conf."+name+".accept_ra=0") // with the datapath in userspace the kernel hears it, too
	ip(t, s.host, "link set "+name+" up")
	s.db.Vsctl(t, "add-port", "br0", name)
}

// snapshot is all that is to be as before.
func (s *scene) snapshot(t *testing.T) string {
	t.Helper()
	text := snapshot(t, s.host)
	if s.db != nil {
		text += s.db.Dump(t) + s.db.Vsctl(t, "--no-wait", "--columns=name,other_config,fail_mode", "list", "Bridge") +
			s.db.Vsctl(t, "--no-wait", "--columns=name,mtu_request", "list", "Interface")
	}
	return text
}

// unchanged compares with what was before, once addresses have come to rest.
func (s *scene) unchanged(t *testing.T, before string) {
	t.Helper()
	var now string
	for range 100 {
		if now = s.snapshot(t); now == before {
			return
		}
		if !strings.Contains(now, "tentative") {
			break
		}
	}
	t.Errorf("the host is not as before (-before +after):\n%s", cmp.Diff(before, now))
}

// noChecksumOffload has the guest's kernel fill in the checksums of what it sends.
func noChecksumOffload(t *testing.T, g *ns.Guest, name string) {
	t.Helper()
	arg := struct{ command, value uint32 }{command: unix.ETHTOOL_STXCSUM}
	var req struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:], name)
	req.data = unsafe.Pointer(&arg)
	err := g.Do(t.Context(), func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		if _, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); no != 0 {
			return no
		}
		return nil
	})
	runtime.KeepAlive(&arg)
	if err != nil {
		t.Fatal(err)
	}
}

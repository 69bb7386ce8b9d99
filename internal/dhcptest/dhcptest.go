//go:build linux

// Package dhcptest runs real DHCP servers for tests: dnsmasq, Kea and ISC dhcpd,
// each a child of the test inside its sandbox, with its files in a temporary
// folder, ended by its PID when the test ends.
package dhcptest

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/ns"
)

// Bridge is the network's name, Router its own address, at which servers listen,
// and RouterMAC its MAC.
const (
	Bridge    = "lan"
	Router    = "10.77.0.1"
	RouterMAC = "02:00:00:00:77:01"
)

// Need finds a program, a server or client, or skips the test; where PIPEWORK_REQUIRE promises
// the lane "dhcp", it fails.
func Need(t testing.TB, program string) string {
	t.Helper()
	for _, dir := range []string{"/usr/sbin/", "/usr/bin/", "/sbin/", "/usr/local/sbin/", "/usr/lib/"} {
		if _, err := os.Stat(dir + program); err == nil {
			nstest.Ran("dhcp")
			return dir + program
		}
	}
	if nstest.Required("dhcp") {
		t.Fatalf("no %s here: make packages installs it", program)
	}
	t.Skipf("no %s here", program)
	return ""
}

// Network makes a bridge with an address for servers, for the length of the test.
func Network(t testing.TB) {
	t.Helper()
	h := here(t)
	a := netlink.NewLinkAttrs()
	a.Name, a.HardwareAddr = Bridge, net.HardwareAddr{2, 0, 0, 0, 0x77, 1} // or it would follow its ports
	br := &netlink.Bridge{LinkAttrs: a}
	must(t, h.LinkAdd(br))
	t.Cleanup(func() { must(t, h.LinkDel(br)) })
	// The router is on it: a neighbour that does not say it is one loses its routes.
	for key, value := range map[string]string{"accept_ra": "0", "forwarding": "1"} {
		must(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+Bridge+"/"+key, []byte(value), 0))
	}
	must(t, h.LinkSetUp(br))
	carrier(t, h, br)
	for _, text := range []string{Router + "/24", "fd77::1/64", "fe80::77/64"} {
		addr, err := netlink.ParseAddr(text)
		must(t, err)
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD
		}
		must(t, h.AddrAdd(br, addr))
	}
}

// SpanningTree has ports of the network listen, and learn, for some seconds each. Where
// the sandbox does not let it, the test is skipped.
func SpanningTree(t testing.TB, seconds int) {
	t.Helper()
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		t.Skip("no sysfs in the sandbox:", err)
	}
	defer func() { must(t, unix.Unmount("/sys", unix.MNT_DETACH)) }()
	for file, value := range map[string]int{"stp_state": 1, "forward_delay": 100 * seconds} {
		must(t, os.WriteFile("/sys/class/net/"+Bridge+"/bridge/"+file, []byte(strconv.Itoa(value)), 0))
	}
}

// carrier gives the bridge a port, without which servers find it not running.
func carrier(t testing.TB, h *netlink.Handle, br netlink.Link) {
	t.Helper()
	a := netlink.NewLinkAttrs()
	a.Name, a.Flags, a.MasterIndex = Bridge+"port", net.FlagUp, br.Attrs().Index
	port := &netlink.Veth{LinkAttrs: a, PeerName: Bridge + "peer"}
	must(t, h.LinkAdd(port))
	t.Cleanup(func() { must(t, h.LinkDel(port)) })
	peer, err := h.LinkByName(Bridge + "peer")
	must(t, err)
	// It must not follow the routers of the network.
	must(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+Bridge+"peer/disable_ipv6", []byte("1"), 0))
	must(t, h.LinkSetUp(peer))
	testwait.Eventually(t, "the bridge has a carrier", func() bool {
		l, err := h.LinkByIndex(br.Attrs().Index)
		must(t, err)
		return l.Attrs().OperState == netlink.OperUp
	})
}

// here is a netlink handle in the host's namespace, for the length of the test.
func here(t testing.TB) *netlink.Handle {
	t.Helper()
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	must(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func within(t testing.TB, g *ns.Guest) *netlink.Handle {
	t.Helper()
	h, err := netlink.NewHandleAt(g.NetNS(), unix.NETLINK_ROUTE)
	must(t, err)
	return h
}

// Plug gives the guest an interface eth1 on the network, up and without an
// address, and returns it.
func Plug(t testing.TB, g *ns.Guest) netlink.Link {
	t.Helper()
	host, inside := here(t), within(t, g)
	defer inside.Close() // it would keep the guest's namespace alive
	br, err := host.LinkByName(Bridge)
	if err != nil {
		t.Fatal(err)
	}
	a := netlink.NewLinkAttrs()
	a.Name, a.MasterIndex, a.Flags = fmt.Sprintf("p%d", g.Inode().Ino), br.Attrs().Index, 1
	must(t, host.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "eth1", PeerNamespace: netlink.NsFd(g.NetNS())}))
	eth1, err := inside.LinkByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	must(t, inside.LinkSetUp(eth1))
	t.Cleanup(func() { _ = host.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: a.Name}}) })
	return eth1
}

// Unplugged waits until the host's end of a pair has gone with the guest's.
func Unplugged(t testing.TB, eth1 netlink.Link) {
	t.Helper()
	h := here(t)
	testwait.Eventually(t, "nothing keeps the dead guest's namespace alive", func() bool {
		_, err := h.LinkByIndex(eth1.Attrs().ParentIndex)
		return err != nil
	})
}

// SetMAC gives the bridge another MAC.
func SetMAC(t testing.TB, mac string) {
	t.Helper()
	h := here(t)
	br, err := h.LinkByName(Bridge)
	must(t, err)
	parsed, err := net.ParseMAC(mac)
	must(t, err)
	must(t, h.LinkSetHardwareAddr(br, parsed))
}

// Neighbours are the IPv4 neighbours that the guest's kernel knows on eth1.
func Neighbours(t testing.TB, g *ns.Guest) []netlink.Neigh {
	t.Helper()
	h := within(t, g)
	defer h.Close()
	eth1, err := h.LinkByName("eth1")
	must(t, err)
	list, err := nstest.Whole(func() ([]netlink.Neigh, error) { return h.NeighList(eth1.Attrs().Index, netlink.FAMILY_V4) })
	must(t, err)
	return list
}

// Routes are the destinations of the guest's IPv4 routes.
func Routes(t testing.TB, g *ns.Guest) (list []string) {
	t.Helper()
	h := within(t, g)
	defer h.Close()
	routes, err := nstest.Whole(func() ([]netlink.Route, error) { return h.RouteList(nil, netlink.FAMILY_V4) })
	must(t, err)
	for _, r := range routes {
		list = append(list, r.Dst.String())
	}
	return list
}

// AddAddr gives the guest's eth1 an address.
func AddAddr(t testing.TB, g *ns.Guest, p netip.Prefix) {
	t.Helper()
	h := within(t, g)
	defer h.Close()
	eth1, err := h.LinkByName("eth1")
	must(t, err)
	addr, err := netlink.ParseAddr(p.String())
	must(t, err)
	must(t, h.AddrReplace(eth1, addr))
}

// A Server is a DHCP server that runs.
type Server struct {
	Dir string
	cmd *exec.Cmd
	log *buffer
	end chan struct{}
}

// start runs a server, and waits until it says that it is ready.
func start(t testing.TB, dir, ready, program string, args ...string) *Server {
	t.Helper()
	return startIn(t, nil, dir, ready, program, args...)
}

// startIn is start inside a guest; nil is the test's own namespace.
func startIn(t testing.TB, g *ns.Guest, dir, ready, program string, args ...string) *Server {
	t.Helper()
	s := &Server{Dir: dir, log: new(buffer), end: make(chan struct{})}
	s.cmd = exec.Command(program, args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir)
	must(t, launch(g, s.cmd))
	go func() { _ = s.cmd.Wait(); close(s.end) }()
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(program), s.Log())
		}
	})
	s.Wait(t, ready)
	return s
}

func launch(g *ns.Guest, cmd *exec.Cmd) error {
	if g == nil {
		return cmd.Start()
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends in the guest
		err := netns.Set(g.NetNS())
		if err == nil {
			err = cmd.Start()
		}
		started <- err
	}()
	return <-started
}

// Stop ends the server, and waits for its end. A stopped one stays stopped.
func (s *Server) Stop() {
	_ = s.cmd.Process.Kill()
	<-s.end
}

// Log is what the server has said.
func (s *Server) Log() string { return s.log.String() }

// Wait waits until the server has said text.
func (s *Server) Wait(t testing.TB, text string) {
	t.Helper()
	defer func() {
		if !strings.Contains(s.Log(), text) {
			t.Log("the server said", s.Log())
		}
	}()
	testwait.Eventually(t, fmt.Sprintf("the server says %q", text), func() bool {
		said := strings.Contains(s.Log(), text)
		select {
		case <-s.end:
			if !said {
				t.Fatal("the server ended")
			}
		default:
		}
		return said
	})
}

// Leases is the server's lease file.
func (s *Server) Leases(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Dir, "leases"))
	must(t, err)
	return string(b)
}

// Eventually waits until the lease file satisfies ok.
func (s *Server) Eventually(t testing.TB, what string, ok func(leases string) bool) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Log("the server's lease file:", s.Leases(t))
		}
	}()
	testwait.Eventually(t, "the server's lease file shows "+what, func() bool { return ok(s.Leases(t)) })
}

// Dnsmasq starts dnsmasq on the network. It gives out 10.77.0.50 to .60 for 120
// seconds; more are options of its command line.
func Dnsmasq(t testing.TB, more ...string) *Server {
	t.Helper()
	program, dir := Need(t, "dnsmasq"), t.TempDir()
	args := append([]string{
		"-d", "-C", "/dev/null", "--port=0", // -d: a user namespace forbids setgroups
		"--no-hosts", "--no-resolv", "--no-ping", "--bind-interfaces", "--interface=" + Bridge, "--except-interface=lo",
		"--dhcp-leasefile=" + dir + "/leases", "--dhcp-authoritative", "--log-dhcp", "--dhcp-sequential-ip",
	}, more...)
	if !strings.Contains(strings.Join(more, " "), "--dhcp-range=10.") {
		args = append(args, "--dhcp-range=10.77.0.50,10.77.0.60,255.255.255.0,120")
	}
	return start(t, dir, "sockets bound exclusively to interface "+Bridge, program, args...)
}

// Second starts another dnsmasq on the network, in a namespace of its own at
// 10.77.0.2, with the same addresses to give out.
func Second(t testing.TB, more ...string) *Server {
	t.Helper()
	program, dir := Need(t, "dnsmasq"), t.TempDir()
	_, g := nstest.Guest(t)
	Plug(t, g)
	AddAddr(t, g, netip.MustParsePrefix("10.77.0.2/24"))
	args := append([]string{
		"-d", "-C", "/dev/null", "--port=0", "--no-hosts", "--no-resolv", "--no-ping", "--bind-interfaces", "--interface=eth1", "--except-interface=lo",
		"--dhcp-leasefile=" + dir + "/leases", "--dhcp-authoritative", "--dhcp-range=10.77.0.50,10.77.0.60,255.255.255.0,120",
	}, more...)
	return startIn(t, g, dir, "sockets bound exclusively to interface eth1", program, args...)
}

// Kea starts kea-dhcp4 on the network. It gives out 10.77.0.150 to .160 for
// lease seconds, with T1 and T2 at a quarter and three quarters.
func Kea(t testing.TB, lease int) *Server {
	t.Helper()
	return kea(t, lease, "10.77.0.0/24", "10.77.0.150-10.77.0.160")
}

// BigKea is Kea with two thousand addresses, 10.77.16.1 and up, in a subnet of /16.
func BigKea(t testing.TB, lease int) *Server {
	t.Helper()
	return kea(t, lease, "10.77.0.0/16", "10.77.16.1-10.77.23.254")
}

func kea(t testing.TB, lease int, subnet, pool string) *Server {
	t.Helper()
	program, dir := Need(t, "kea-dhcp4"), t.TempDir()
	conf := fmt.Sprintf(`{"Dhcp4":{"interfaces-config":{"interfaces":[%q],"dhcp-socket-type":"raw"},
"lease-database":{"type":"memfile","persist":true,"name":%q,"lfc-interval":0},
"valid-lifetime":%d,"min-valid-lifetime":%[3]d,"max-valid-lifetime":%[3]d,"renew-timer":%d,"rebind-timer":%d,"authoritative":true,"calculate-tee-times":false,
"option-def":[{"name":"rfc3442","code":121,"type":"binary","space":"dhcp4"}],
"subnet4":[{"id":1,"subnet":%q,"pools":[{"pool":%q}],
"option-data":[{"name":"routers","data":"10.77.0.1"},{"name":"rfc3442","csv-format":false,"data":"100ac80a4d00fe"}]}],
"loggers":[{"name":"kea-dhcp4","output_options":[{"output":"stdout"}],"severity":"INFO"},
{"name":"kea-dhcp4.leases","output_options":[{"output":"stdout"}],"severity":"WARN"}]}}`,
		Bridge, dir+"/leases", lease, max(1, lease/4), max(2, lease*3/4), subnet, pool)
	must(t, os.WriteFile(dir+"/conf", []byte(conf), 0o644))
	return start(t, dir, "DHCP4_STARTED", program, "-c", dir+"/conf")
}

// ISC starts dhcpd on the network. It gives out 10.77.0.first to .last for
// seconds.
func ISC(t testing.TB, lease, first, last int) *Server {
	t.Helper()
	program, dir := Need(t, "dhcpd"), t.TempDir()
	conf := fmt.Sprintf(`authoritative; ping-check false; dhcp-cache-threshold 0; ddns-update-style none;
default-lease-time %[1]d; max-lease-time %[1]d; min-lease-time 1;
option rfc3442 code 121 = array of integer 8;
subnet 10.77.0.0 netmask 255.255.255.0 { range 10.77.0.%d 10.77.0.%d; option routers 10.77.0.1;
 option domain-name-servers 10.77.0.1; option rfc3442 16,10,200,10,77,0,254;
 option dhcp-renewal-time %d; option dhcp-rebinding-time %d; }`, lease, first, last, max(1, lease/4), max(2, lease*3/4))
	must(t, os.WriteFile(dir+"/conf", []byte(conf), 0o644))
	must(t, os.WriteFile(dir+"/leases", nil, 0o644))
	return start(t, dir, "Sending on   Socket/fallback", program, "-4", "-cf", dir+"/conf", "-lf", dir+"/leases", "-pf", dir+"/pid", "-d", "-f", Bridge)
}

// A buffer may be written and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

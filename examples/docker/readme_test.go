//go:build linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/nstest"
)

// A shell is a root shell on a private Docker host, with docker, pipework and a
// Linux distribution's other programs on its path.
type shell struct {
	host *host
	pid  int    // a process on that host
	bin  string // where pipework is; in host.bin is another program called docker
	vars string // a file with variables of the shell
}

func newShell(t *testing.T) *shell {
	h := newHost(t)
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", "../../cmd/pipework")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // containers have no libc
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	h.Image(t)
	return &shell{host: h, pid: h.PID(t), bin: bin, vars: filepath.Join(t.TempDir(), "vars")}
}

// command is a line of a shell on the host.
func (s *shell) command(line string) *exec.Cmd {
	cmd := exec.Command("nsenter", "-t", strconv.Itoa(s.pid), "-m", "-n", "sh", "-c", line)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+s.host.Sock(), "PIPEWORK_STATE="+s.host.state, "PATH="+s.bin+":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME="+filepath.Dir(s.vars), "BIN="+s.bin)
	return cmd
}

// run types a line; the variables that it sets are there in the next.
func (s *shell) run(t *testing.T, line string) (string, int) {
	t.Helper()
	out, err := s.command("set -a; [ ! -e " + s.vars + " ] || . " + s.vars + "; " + line + "\nstatus=$?; set | grep -E '^(APACHE|MYSQL|CONTAINERID|CID)=' >" + s.vars + "; exit $status").CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	status := 0
	if exit != nil {
		status = exit.ExitCode()
	}
	t.Logf("$ %s\n%s", line, out)
	return string(out), status
}

// background runs a program on the host for the length of the test.
func (s *shell) background(t *testing.T, line string) {
	t.Helper()
	cmd := s.command("exec " + line)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// must types lines that are there to prepare, or to look.
func (s *shell) must(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if _, status := s.run(t, line); status != 0 {
			t.Fatalf("%s: exit status %d", line, status)
		}
	}
}

// A step is a line of the classic README, typed as it stands there, and what it
// says has to be so afterwards.
type step struct {
	line  string
	check string // a line; "" is none
	want  string // pattern of what the check prints
}

func (s *shell) steps(t *testing.T, steps []step) {
	t.Helper()
	for _, st := range steps {
		if out, status := s.run(t, st.line); status != 0 {
			t.Errorf("%s: exit status %d\n%s", st.line, status, out)
			continue
		}
		if st.check == "" {
			continue
		}
		if out, status := s.run(t, st.check); status != 0 || !regexp.MustCompile(st.want).MatchString(out) {
			t.Errorf("after %s\n%s prints, with exit status %d,\n%swant %s", st.line, st.check, status, out, st.want)
		}
	}
}

// images are names of the guests' image, with programs that only stay.
const images = `docker run --name made pipework-guest sh -c '
	mkdir -p /usr/sbin && printf "#!/bin/sh\nexec sleep 1000000\n" >/usr/sbin/httpd && chmod 755 /usr/sbin/httpd &&
	cp /usr/sbin/httpd /usr/sbin/mysqld_safe && cp /usr/sbin/httpd /usr/sbin/hipache' &&
	docker cp $BIN/pipework made:/bin/pipework &&
	docker commit -c 'CMD ["/usr/sbin/httpd"]' made apache && docker rm made &&
	for name in mysql hipache haproxy zerorpcworker; do docker tag apache $name; done`

// TestClassicREADME types the examples of the classic tool's README on a Docker
// host. Not here: VLANs of NICs and InfiniBand, which the machine's own kernel may
// lack (see docs/classic.md).
func TestClassicREADME(t *testing.T) {
	s := newShell(t)
	s.must(t, images)
	for _, nic := range []string{"eth0", "eth2", "eth3"} {
		s.must(t, "ip link add "+nic+" type veth peer name wire-"+nic+" && ip link set wire-"+nic+" up && ip link set "+nic+" up")
	}
	s.must(t, "ip addr add 10.1.1.123/24 dev eth0")
	t.Run("bridge", s.bridges)
	t.Run("nic", s.nics)
	t.Run("dummy", s.dummies)
	t.Run("wait", s.waits)
	t.Run("mac", s.macs)
	t.Run("dhcp", s.leases)
	t.Run("tools", s.tools)
	t.Run("ovs", s.switches)
}

func (s *shell) bridges(t *testing.T) {
	s.steps(t, []step{
		{"APACHE=$(docker run -d apache /usr/sbin/httpd -D FOREGROUND)", "", ""},
		{"MYSQL=$(docker run -d mysql /usr/sbin/mysqld_safe)", "", ""},
		{"pipework br1 $APACHE 192.168.1.1/24", "ip -d link show dev br1", "bridge "},
		{"pipework br1 $MYSQL 192.168.1.2/24", "docker exec $APACHE ping -c 1 -W 2 192.168.1.2", "1 packets received"},
		{"docker run --name web1 -d apache", "", ""},
		{"pipework br1 web1 192.168.12.23/24", "docker exec web1 ip addr show dev eth1", "inet 192.168.12.23/24 brd 192.168.12.255"},
		{"ip addr add 192.168.1.254/24 dev br1", "busybox ping -c 1 -W 2 192.168.1.1", "1 packets received"},
		{"pipework br1 -i eth2 $APACHE 10.9.0.1/24", "docker exec $APACHE ip addr show dev eth2", "inet 10.9.0.1/24"},
		{"pipework detach $APACHE -i eth2 && pipework br1 -i eth2 -l hostapp1 $APACHE 10.9.0.1/24", "ip link show dev hostapp1", "master br1"},
		{"CONTAINERID=$(docker run -d apache)", "", ""},
		{"pipework br1 $CONTAINERID 192.168.4.25/20", "docker exec $CONTAINERID ip addr show dev eth1", "inet 192.168.4.25/20 brd 192.168.15.255"},
		{"pipework detach $CONTAINERID && pipework br1 $CONTAINERID 192.168.4.25/20@192.168.4.1", "docker exec $CONTAINERID ip route", "(?m)^default via 192.168.4.1 dev eth1"},
		{"pipework detach $CONTAINERID", "docker exec $CONTAINERID ip route", "(?m)^default via 172.17.0.1 dev eth0"},
		{"pipework br1 $CONTAINERID 0/0", "docker exec $CONTAINERID ip link show dev eth1; docker exec $CONTAINERID ip -4 addr show dev eth1", "^[^\n]*UP,LOWER_UP[^\n]*\n[^\n]*\n$"},
		{"docker kill $CONTAINERID && docker rm $CONTAINERID", "ip link show master br1", "^(.*\n)+$"},
	})
}

func (s *shell) nics(t *testing.T) {
	s.steps(t, []step{
		{"pipework eth2 $(docker run -d --name one hipache /usr/sbin/hipache) 50.19.169.157/24", "docker exec one ip -o addr show dev eth1", "inet 50.19.169.157/24"},
		{"pipework eth3 $(docker run -d hipache /usr/sbin/hipache) 107.22.140.5/24", "", ""},
		{"pipework eth2 $(docker run -d hipache /usr/sbin/hipache) 50.19.169.158/24", "docker exec one ping -c 1 -W 2 50.19.169.158", "1 packets received"},
		{"ip addr del 10.1.1.123/24 dev eth0", "", ""},
		{"ip link add link eth0 dev eth0m type macvlan mode bridge", "", ""},
		{"ip link set eth0m up", "", ""},
		{"ip addr add 10.1.1.123/24 dev eth0m", "", ""},
		{"CID=$(docker run -d apache)", "", ""},
		{"pipework eth0 $CID 10.1.1.234/24@10.1.1.254", "busybox ping -c 1 -W 2 10.1.1.234", "1 packets received"},
		{"pipework --direct-phys eth3 -i eth3 $CID 10.3.1.1/24", "docker exec $CID ip addr show dev eth3", "inet 10.3.1.1/24"},
		{"pipework detach $CID -i eth3", "ip link show dev eth3", "LOWER_UP"},
	})
}

// dummies are not in every kernel: the others say so.
func (s *shell) dummies(t *testing.T) {
	s.must(t, "CONTAINERID=$(docker run -d apache)")
	out, status := s.run(t, "pipework dummy $CONTAINERID 192.168.21.101/24@192.168.21.1")
	if _, none := s.run(t, "ip link add probe type dummy && ip link del probe"); none != 0 {
		if status != 1 || !regexp.MustCompile("CONFIG_DUMMY").MatchString(out) {
			t.Errorf("without dummies: exit status %d\n%s", status, out)
		}
		return
	}
	s.steps(t, []step{{"true", "docker exec $CONTAINERID ip route", "(?m)^default via 192.168.21.1 dev eth1"}})
}

// waits runs --wait as a container's own user, who has no capabilities.
func (s *shell) waits(t *testing.T) {
	s.steps(t, []step{
		{"CID=$(docker run -d --name waits --net=none --user 1000 --cap-drop ALL apache sh -c 'pipework --wait && pipework --wait -i ib0 && echo ready && sleep 1000000')", "", ""},
		{"pipework br1 $CID 192.168.1.9/24", "docker logs waits", "^$"},
		{"pipework br1 -i ib0 $CID 192.168.99.9/24", "timeout 5 sh -c 'until docker logs waits | grep ready; do sleep .1; done'", "ready"},
	})
}

func (s *shell) macs(t *testing.T) {
	s.steps(t, []step{
		{"pipework eth0 $(docker run -d --name mac haproxy) 192.168.1.2/24 26:2e:71:98:60:8f", "docker exec mac ip link show dev eth1", "link/ether 26:2e:71:98:60:8f"},
		{"pipework br1 -i eth2 mac 10.8.0.1/24 U:myhost.foo.com", "docker exec mac ip link show dev eth2", "link/ether 02:72:6c:cd:9b:8d"},
	})
}

func (s *shell) leases(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	s.must(t, "ip link add br0 type bridge && ip link set br0 up && ip addr add 10.70.0.1/24 dev br0")
	s.background(t, "dnsmasq -d -C /dev/null --port=0 --no-ping --bind-interfaces --interface=br0 --except-interface=lo --dhcp-leasefile=/run/leases --dhcp-authoritative --dhcp-range=10.70.0.50,10.70.0.60,255.255.255.0,120")
	s.must(t, "iptables -I DOCKER-USER -i br0 -o br0 -j ACCEPT")
	s.steps(t, []step{
		{"pipework br0 $(docker run -d --name worker zerorpcworker) dhcp fa:de:b0:99:52:1c", "docker exec worker ip addr show dev eth1; cat /run/leases", `inet 10\.70\.0\.5[0-9]/24(.*\n)*.* fa:de:b0:99:52:1c 10\.70\.0\.5`},
		{"pipework br0 -i eth2 worker dhcp U:some_string", "docker exec worker ip addr show dev eth2", `inet 10\.70\.0\.`},
		{"pipework detach worker", "cat /run/leases", "^[^\n]*\n?$"},
	})
}

func (s *shell) tools(t *testing.T) {
	s.steps(t, []step{
		{"CONTAINERID=$(docker run -d apache) && pipework br1 $CONTAINERID 192.168.2.2/24", "", ""},
		{"pipework route $CONTAINERID add 10.0.5.0/24 via 192.168.2.1", "docker exec $CONTAINERID ip route", "(?m)^10.0.5.0/24 via 192.168.2.1 dev eth1"},
		{"pipework route $CONTAINERID replace default via 192.168.2.78", "docker exec $CONTAINERID ip route", "(?m)^default via 192.168.2.78 dev eth1"},
		{"pipework rule $CONTAINERID add from 10.0.5.0/24 table 100", "docker exec $CONTAINERID ip rule", "from 10.0.5.0/24 lookup 100"},
		{"pipework tc $CONTAINERID qdisc add dev eth1 root tbf rate 20Mbit buffer 12800 limit 24000", "pipework tc $CONTAINERID qdisc", "qdisc tbf .*rate 20Mbit"},
	})
	// As the README has them, these are no routes: it is iproute2 that says so.
	for line, want := range map[string]string{
		"pipework route $CONTAINERID add 10.0.5.6/24 via 192.168.2.1": "^Error: Invalid prefix for given prefix length.\n$",
		"pipework route $CONTAINERID replace default via 10.2.3.5.78": `^Error: .*10\.2\.3\.5\.78`,
	} {
		if out, status := s.run(t, line); status == 0 || !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%s: exit status %d\n%s", line, status, out)
		}
	}
}

// openvswitch starts an Open vSwitch, and makes a bridge in it with the userspace datapath,
// for the length of the test.
func (s *shell) openvswitch(t *testing.T, bridge string) {
	if _, err := exec.LookPath("ovs-vswitchd"); err != nil && !nstest.Required("ovs") {
		t.Skip("no Open vSwitch here: apt-get install openvswitch-switch")
	}
	s.must(t, "mkdir -p /run/openvswitch && ovsdb-tool create /run/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema")
	s.background(t, "env OVS_RUNDIR=/run/openvswitch OVS_LOGDIR=/run ovsdb-server /run/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock --unixctl=/run/openvswitch/db.ctl")
	s.must(t, "timeout 10 sh -c 'until [ -S /run/openvswitch/db.sock ]; do sleep .05; done' && ovs-vsctl --no-wait init")
	s.background(t, "env OVS_RUNDIR=/run/openvswitch OVS_LOGDIR=/run ovs-vswitchd unix:/run/openvswitch/db.sock --disable-system --unixctl=/run/openvswitch/vs.ctl")
	s.must(t, "ovs-vsctl --timeout=10 add-br "+bridge+" -- set bridge "+bridge+" datapath_type=netdev")
	t.Cleanup(func() { s.must(t, "ovs-appctl --timeout=5 -t /run/openvswitch/vs.ctl exit --cleanup") })
}

// switches has an Open vSwitch, and a DHCP server in its VLAN 10.
func (s *shell) switches(t *testing.T) {
	dhcptest.Need(t, "dnsmasq")
	s.openvswitch(t, "ovsbr0")
	s.must(t, "ovs-vsctl --timeout=10 add-port ovsbr0 lan10 tag=10 -- set interface lan10 type=internal && ip addr add 10.71.0.1/24 dev lan10 && ip link set lan10 up")
	s.background(t, "dnsmasq -d -C /dev/null --port=0 --no-ping --bind-interfaces --interface=lan10 --except-interface=lo --dhcp-leasefile=/run/leases10 --dhcp-authoritative --dhcp-range=10.71.0.50,10.71.0.60,255.255.255.0,120")
	s.steps(t, []step{
		{"ovs-vsctl list-br", "ovs-vsctl list-br", "^ovsbr0\n$"},
		{"pipework ovsbr0 $(docker run -d --name ovs1 mysql /usr/sbin/mysqld_safe) 192.168.1.2/24", "docker exec ovs1 ip addr show dev eth1", "inet 192.168.1.2/24"},
		{"pipework ovsbr0 $(docker run -d mysql /usr/sbin/mysqld_safe) 192.168.1.3/24", "docker exec ovs1 ping -c 1 -W 2 192.168.1.3", "1 packets received"},
		{"pipework ovsbr0 $(docker run -d --name ovs10 zerorpcworker) dhcp @10", "docker exec ovs10 ip addr show dev eth1; docker exec ovs10 ping -c 1 -W 2 10.71.0.1", `inet 10\.71\.0\.(.*\n)*1 packets`},
	})
	s.must(t, "docker rm -f ovs1 ovs10")
}

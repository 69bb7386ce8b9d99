package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/link/firewall"
)

func writable(dir string) error { return unix.Access(dir, unix.W_OK) }

// needed are the capabilities that README names.
var needed = []struct {
	name string
	bit  int
	what string
}{
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN, "makes interfaces"},
	{"CAP_NET_RAW", unix.CAP_NET_RAW, "announces addresses, and asks DHCP servers"},
	{"CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN, "enters network namespaces"},
	{"CAP_SYS_PTRACE", unix.CAP_SYS_PTRACE, "finds the namespace of a container's process"},
}

func capabilities(context.Context) (found []Finding) {
	text, err := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(text), "\nCapEff:\t")
	word, _, _ := strings.Cut(after, "\n")
	have, wrong := strconv.ParseUint(word, 16, 64)
	if err != nil || wrong != nil {
		return []Finding{{"capabilities", Note, "cannot be told: /proc/self/status has no CapEff", ""}}
	}
	for _, n := range needed {
		if have&(1<<n.bit) == 0 {
			found = append(found, Finding{"capabilities", Problem, n.name + " is missing, which " + n.what, "run it as root; in a container with --cap-add " + strings.TrimPrefix(n.name, "CAP_")})
		}
	}
	if found == nil {
		found = []Finding{{"capabilities", OK, "all that are needed are there", ""}}
	}
	return found
}

// firewall asks whether Docker's drops frames within bridges.
func (m Machine) firewall(ctx context.Context) []Finding {
	const about = "firewall"
	advice, err := firewall.Bridge{Name: "br1", Do: func(_ context.Context, f func() error) error { return f() }}.Check(ctx)
	switch {
	case err != nil:
		return []Finding{{about, Note, fmt.Sprintf("cannot be read: %v", err), ""}}
	case len(advice.Others) > 0:
		return []Finding{{about, Problem, "frames within a bridge such as br1 are dropped", strings.Join(slices.Concat(advice.Accept, advice.Others), "; ")}}
	case len(advice.Accept) > 0:
		return []Finding{{about, OK, "Docker's drops frames within bridges: those of bridges that pipework makes are accepted, others with --forward", ""}}
	}
	return []Finding{{about, OK, "lets frames pass within bridges", ""}}
}

// sysctls are settings that make guests unreachable in ways that are hard to see.
func sysctls(context.Context) (found []Finding) {
	for _, one := range []struct{ path, bad, text, mend string }{
		{"net/ipv6/conf/all/disable_ipv6", "1", "IPv6 is switched off on this host: a bridge here has no IPv6 address", "sysctl net.ipv6.conf.all.disable_ipv6=0"},
		{"net/ipv4/conf/all/rp_filter", "1", "strict reverse path filtering: the host drops what guests send by another interface than it would answer by", "sysctl net.ipv4.conf.all.rp_filter=2"},
		{"net/ipv4/conf/all/arp_ignore", "8", "this host answers no ARP requests", "sysctl net.ipv4.conf.all.arp_ignore=0"},
	} {
		value, err := os.ReadFile(filepath.Join("/proc/sys", one.path))
		if err == nil && strings.TrimSpace(string(value)) == one.bad {
			found = append(found, Finding{"sysctl", Note, one.text, one.mend})
		}
	}
	if limit := userInstances(); limit > 0 && limit < 128 {
		found = append(found, Finding{"sysctl", Note, fmt.Sprintf("fs.inotify.max_user_instances is %d: pipework watch may find none left", limit), "sysctl fs.inotify.max_user_instances=512"})
	}
	return found
}

func userInstances() int {
	text, _ := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// managers are programs that manage interfaces, by their names in /proc, of at most 15
// characters, and what to do beside them.
var managers = map[string]Finding{
	"NetworkManager":  {"programs", Note, "NetworkManager runs: it may bring up, and address, the ends of pairs and the bridges here", "printf '[keyfile]\\nunmanaged-devices=interface-name:vpl*;interface-name:veth*pl*;interface-name:br*\\n' >/etc/NetworkManager/conf.d/pipework.conf; nmcli general reload"},
	"systemd-network": {"programs", Note, "systemd-networkd runs: a .network file that matches all interfaces also takes the ends of pairs, and bridges", "have its [Match] name interfaces (Name=eth0), not Name=*"},
	"dhclient":        {"programs", Note, "dhclient runs on this host: a NIC that is moved, or put into a bridge, loses what it leased", "stop it for that NIC first"},
	"dhcpcd":          {"programs", Note, "dhcpcd runs on this host: it takes every interface that appears", "denyinterfaces vpl* veth*pl* in /etc/dhcpcd.conf"},
}

// programs are those in this network namespace that also manage interfaces, and our own.
func programs(context.Context) (found []Finding) {
	own, _ := os.Readlink("/proc/thread-self/ns/net") // the first thread may be in the namespace that kernel made
	seen, watching := map[string]bool{}, false
	for _, pid := range process.All() {
		dir := fmt.Sprintf("/proc/%d/", pid)
		if where, err := os.Readlink(dir + "ns/net"); err != nil || where != own {
			continue
		}
		comm, _ := os.ReadFile(dir + "comm")
		name := strings.TrimSpace(string(comm))
		if f, known := managers[name]; known && !seen[name] {
			seen[name] = true
			found = append(found, f)
		}
		if name == "pipework" {
			words, _ := os.ReadFile(dir + "cmdline")
			watching = watching || slices.Contains(strings.Split(string(words), "\x00"), "watch")
		}
	}
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.Text, b.Text) })
	if watching {
		return append(found, Finding{"watch", OK, "pipework watch runs", ""})
	}
	return append(found, Finding{"watch", Note, "pipework watch does not run: nothing is plugged in again when a guest restarts, and no lease is kept", "systemctl enable --now pipework, with contrib/systemd/pipework.service"})
}

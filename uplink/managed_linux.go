package uplink

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/go-pipework/pipework/internal/errs"
	"github.com/go-pipework/pipework/internal/process"
	"github.com/go-pipework/pipework/internal/rtnl"
)

// This file finds who looks after a NIC, and would give it its addresses again.

// A manager is a program by its name in /proc, of at most 15 characters.
type manager struct {
	called string
	name   string
	// cares says whether it looks after the NIC.
	cares func(nic *rtnl.Link, pid int) bool
	mend  string // with %[1]s for the NIC and %[2]s for the bridge
}

var managers = []manager{
	{"NetworkManager", "NetworkManager", byNetworkManager, "nmcli device set %[1]s managed no"},
	{"systemd-network", "systemd-networkd", byNetworkd, "write Unmanaged=yes into the [Link] section of its .network file, networkctl reload"},
	{"dhclient", "dhclient", byClient, "stop it, and have it run on %[2]s, or have its lease taken over with --dhcp"},
	{"dhcpcd", "dhcpcd", byClient, "write denyinterfaces %[1]s into /etc/dhcpcd.conf, and have it run on %[2]s, or have its lease taken over with --dhcp"},
	{"udhcpc", "udhcpc", byClient, "stop it, and have it run on %[2]s, or have its lease taken over with --dhcp"},
}

// config is what --print-config calls who keeps the manager's configuration.
func (m manager) config() string {
	switch m.name {
	case "NetworkManager":
		return m.name
	case "systemd-networkd":
		if all, _ := filepath.Glob("/etc/netplan/*.yaml"); len(all) > 0 {
			return "netplan"
		}
		return "networkd"
	}
	return "ifupdown"
}

// refusedManaged refuses a NIC that a program of this namespace looks after, unless told so.
func (j refuser) refusedManaged(ctx context.Context, nic *rtnl.Link) error {
	var found *manager
	err := j.do(ctx, func() error {
		here, err := os.Readlink("/proc/thread-self/ns/net")
		if err != nil {
			return nil
		}
		for _, pid := range process.All() {
			comm := strings.TrimSpace(string(readSome(fmt.Sprintf("/proc/%d/comm", pid))))
			i := slices.IndexFunc(managers, func(m manager) bool { return m.called == comm })
			if i < 0 || found != nil || j.DHCP && slices.Contains(clientNames, comm) {
				continue
			}
			where, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
			if err == nil && where == here && managers[i].cares(nic, pid) {
				found = &managers[i]
			}
		}
		return nil
	})
	if found == nil || err != nil {
		return err
	}
	mend := strings.NewReplacer("%[1]s", j.NIC, "%[2]s", j.Bridge).Replace(found.mend)
	if j.Managed {
		j.warn("%s looks after %s, and may give it its addresses again: %s", found.name, j.NIC, mend)
		return nil
	}
	return errs.New(fs.ErrInvalid, "%s looks after %s, and would give it its addresses again: %s; or move it all the same with --managed; what makes it last: pipework uplink --print-config %s %s %s", found.name, j.NIC, mend, found.config(), j.Bridge, j.NIC)
}

// someBytes bounds what is read of a file of others.
const someBytes = 64 << 10

// readSome is the beginning of a file; nil where it cannot be read. It waits for nobody who is to
// write: what a container has in the place of a file may be a named pipe.
func readSome(path string) []byte {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(f, someBytes))
	return b
}

// says tells whether the file has one of the lines.
func says(path string, lines ...string) bool {
	for line := range bytes.Lines(readSome(path)) {
		if slices.Contains(lines, strings.TrimSpace(string(line))) {
			return true
		}
	}
	return false
}

// byNetworkd reads what systemd-networkd keeps of each link.
func byNetworkd(nic *rtnl.Link, _ int) bool {
	return says(fmt.Sprintf("/run/systemd/netif/links/%d", nic.Index), "ADMIN_STATE=configured", "ADMIN_STATE=configuring")
}

// byClient says whether a DHCP client's words name the NIC, or it captures packets there.
func byClient(nic *rtnl.Link, pid int) bool {
	for _, word := range strings.FieldsFunc(string(readSome(fmt.Sprintf("/proc/%d/cmdline", pid))), func(r rune) bool { return r == 0 || r == ' ' }) {
		if word == nic.Name || word == "-i"+nic.Name {
			return true
		}
	}
	for _, inode := range packetSockets(nic.Index, pid) {
		fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		for _, fd := range fds {
			if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name())); err == nil && to == "socket:["+inode+"]" {
				return true
			}
		}
	}
	return false
}

// packetSockets are the inodes of the packet sockets that are bound to the link in the process's
// namespace: packet_seq_show in net/packet/af_packet.c.
func packetSockets(index, pid int) (inodes []string) {
	for line := range bytes.Lines(readSome(fmt.Sprintf("/proc/%d/net/packet", pid))) {
		if f := strings.Fields(string(line)); len(f) == 9 && f[4] == strconv.Itoa(index) {
			inodes = append(inodes, f[8])
		}
	}
	return inodes
}

// Package program gets addresses with the DHCP client programs of the classic
// tool: udhcpc, dhclient and dhcpcd, for who insists on one. The client of package
// dhcp needs none of them, is faster, renews, and gives the lease back.
//
// A program runs in the guest's network namespace and otherwise in namespaces of
// its own: mounts, where all that it and its scripts write to /etc, /run and its
// own folder is gone with it, so that they do not touch the host's
// /etc/resolv.conf; processes, so that nothing that it started outlives it; and
// host name. It never outlives the program that uses this package.
//
// It is the only package of the module that starts programs. Needs root.
package program

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os/exec"
	"slices"
	"strings"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/errs"
)

// A Client is a DHCP client program.
type Client struct {
	// Name is udhcpc, dhclient or dhcpcd.
	Name string
	// Stay keeps the program running, so that it renews the lease, until
	// [Running.Wait] returns. Otherwise it ends when it has got the lease, and the
	// address stays for as long as the interface.
	Stay bool
	// Resume says that an interface that is there was made for a program before.
	// Otherwise one that was made for something else is refused.
	Resume bool
	// Options are more words of its command line.
	Options []string
	// Output hears what the program and its scripts say, as it comes, with what servers
	// say in it: it may hold escape sequences for a terminal. nil hears nothing.
	Output io.Writer
}

// Attach plugs in the interface that s describes, which must not ask for DHCP, and
// has the program configure it. When it does not within half a minute, or before
// ctx ends, all is taken back; errors are those of [pipework.Attach], or satisfy
// fs.ErrNotExist (no such program here; nothing was touched), fs.ErrExist (one
// runs already) or os.ErrDeadlineExceeded. Running is nil unless the program stays.
func (c *Client) Attach(ctx context.Context, a *pipework.Attacher, t pipework.Target, s pipework.Spec) (*pipework.Attachment, *Running, error) {
	return c.attach(ctx, a, t, s)
}

// End ends the program that an Attach, in whatever process, runs for an interface
// of the guest; by its pid file, but never another process that has got its
// number. Where there is none, or no guest, it does nothing.
func End(ctx context.Context, t pipework.Target, ifname string) error { return end(ctx, t, ifname) }

// Runs says whether [End] would end a program.
func Runs(ctx context.Context, t pipework.Target, ifname string) (bool, error) {
	return runs(ctx, t, ifname)
}

// find looks the program up, also where only root's PATH leads.
func (c *Client) find() (string, error) {
	if arguments[c.Name] == nil {
		return "", errs.New(fs.ErrInvalid, "%q is no DHCP client that is known here: udhcpc, dhclient and dhcpcd are", c.Name)
	}
	for _, dir := range []string{"", "/usr/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + c.Name); err == nil {
			return path, nil
		}
	}
	return "", errs.New(fs.ErrNotExist, "the program %s is not installed here: write dhcp, or dhcp:-f to keep the lease, which needs no program", c.Name)
}

// A purpose is what a program is to be told.
type purpose struct {
	ifname string
	host   string // the guest's name, or "" where that is no host name
	mac    net.HardwareAddr
	stay   bool
}

// arguments are the command lines. Each program stays in the foreground, and is
// known to the server by what it is in the library: guest's name, and MAC.
var arguments = map[string]func(purpose) []string{
	"udhcpc": func(p purpose) []string {
		args := []string{"-f", "-i", p.ifname}
		if p.host != "" {
			args = append(args, "-x", "hostname:"+p.host)
		}
		if !p.stay { // -q: end with the lease; -n: end without one
			args = append(args, "-q", "-n")
		}
		return args
	},
	// It sends the host name of its namespace. Without -d it goes to the background
	// with the lease: then its first process ends, and with that all of the namespace.
	"dhclient": func(p purpose) []string {
		args := []string{"-4", "-1", "-pf", "/run/dhclient.pipework.pid", "-lf", "/var/lib/dhcp/dhclient.pipework.leases"}
		if p.stay {
			args = append(args, "-d")
		}
		return append(args, p.ifname)
	},
	// -I: otherwise it makes up an identifier, another one at each start.
	"dhcpcd": func(p purpose) []string {
		args := []string{"-B", "-4", "-L", "-I", "01:" + p.mac.String()}
		if p.host != "" {
			args = append(args, "-h", p.host)
		}
		if !p.stay {
			args = append(args, "-1")
		}
		return append(args, p.ifname)
	},
}

// gist is the line of what the program said that tells most: a complaint about its
// options, or an address that another host has, or else the last one. It is safe to print.
func gist(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	line := lines[len(lines)-1]
	if i := slices.IndexFunc(lines, complains); i >= 0 {
		line = lines[i]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, line)
}

func complains(line string) bool {
	for _, word := range []string{"invalid", "unknown", "unrecognized", "bad ", "usage:",
		"in use", "declin", "dad detected"} {
		if strings.Contains(strings.ToLower(line), word) {
			return true
		}
	}
	return false
}

// ended says how the program ended.
func (c *Client) ended(why error, output string) error {
	how := "it ended"
	if why != nil {
		how = why.Error()
	}
	return fmt.Errorf("%s: %s: %s", c.Name, how, gist(output))
}

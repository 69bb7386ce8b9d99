//go:build linux

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/go-pipework/pipework/internal/dhcptest"
	"github.com/go-pipework/pipework/internal/testwait"
	"github.com/go-pipework/pipework/internal/transcript"
)

const readme = "../../README.md"

// TestREADME types what the README says, in a shell of the private Docker host, whose NICs are
// pairs: eth5 has a DHCP server at its other end.
func TestREADME(t *testing.T) {
	s := newShell(t)
	s.must(t, "docker tag pipework-guest alpine")
	t.Run("story", func(t *testing.T) {
		transcript.Type(t, readme, func(first string) bool { return !strings.HasPrefix(first, "go ") }, func(line string) string {
			out, status := s.run(t, line)
			if status != 0 {
				t.Errorf("%s: exit status %d", line, status)
			}
			return out
		})
		s.must(t, "docker rm -f web db")
	})
	dhcptest.Need(t, "dnsmasq")
	s.openvswitch(t, "ovs0")
	for _, nic := range []string{"eth5", "eth6"} {
		s.must(t, "ip link add "+nic+" type veth peer name wire-"+nic+" && ip link set wire-"+nic+" up && ip link set "+nic+" up")
	}
	s.must(t, "ip addr add 10.70.0.1/24 dev wire-eth5")
	s.background(t, "dnsmasq -d -C /dev/null --port=0 --no-ping --bind-interfaces --interface=wire-eth5 --except-interface=lo --dhcp-leasefile=/run/leases --dhcp-authoritative --dhcp-range=10.70.0.50,10.70.0.60,255.255.255.0,120")
	t.Run("command", s.commands)
	t.Run("compose", s.compose)
}

// commands types the lines of the command's section.
func (s *shell) commands(t *testing.T) {
	s.must(t, "docker run -d --name web alpine sleep 1d", "ip netns add blue")
	defer s.must(t, "docker rm -f web", "ip netns del blue")
	for line := range strings.Lines(block(t, "## The command", "sh")) {
		if out, status := s.run(t, strings.TrimSpace(line)); status != 0 {
			t.Errorf("%s: exit status %d\n%s", line, status, out)
		}
	}
}

// compose starts the services of the file with docker run, which gives them what docker
// compose does.
func (s *shell) compose(t *testing.T) {
	var file struct {
		Services map[string]struct {
			Image, Command string
			Network        string `yaml:"network_mode"`
			Labels         map[string]string
		}
	}
	if err := yaml.Unmarshal([]byte(block(t, "## In a compose file", "yaml")), &file); err != nil {
		t.Fatal(err)
	}
	s.background(t, "pipework watch")
	for name, service := range file.Services {
		line := "docker run -d --name " + name
		for key, value := range service.Labels {
			line += " --label '" + key + "=" + value + "'"
		}
		if service.Network != "" {
			line += " --network " + service.Network
		}
		s.must(t, line+" "+service.Image+" "+service.Command)
	}
	testwait.Eventually(t, "db reaches web, and web has a lease", func() bool {
		_, status := s.run(t, "docker exec db ping -c 1 -W 1 192.168.1.1 && docker exec web ip addr show dev eth2 | grep 'inet 10.70.0.'")
		return status == 0
	})
}

// block is the first block of a language below a heading of the README.
func block(t *testing.T, heading, language string) string {
	t.Helper()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n"+heading+"\n")
	blocks := transcript.Code(section, language)
	if len(blocks) == 0 {
		t.Fatalf("no %s below %q", language, heading)
	}
	return blocks[0]
}

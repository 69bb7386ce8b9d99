package docker

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestNamesGroup(t *testing.T) {
	id, other := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	for _, row := range []struct {
		name, groups string
		want         bool
	}{
		{"none", "", false},
		{"host", "0::/init.scope\n", false},
		{"cgroupfs, version 2", "0::/docker/" + id + "\n", true},
		{"version 1", "4:memory:/\n3:cpuset:/docker/" + id + "\n0::/\n", true},
		{"systemd", "0::/system.slice/docker-" + id + ".scope\n", true},
		{"podman", "0::/machine.slice/libpod-" + id + ".scope/container\n", true},
		{"seen from another container", "0::/../" + id + "\n", true},
		{"in a group it made", "0::/docker/" + id + "/system.slice/x.service\n", true},
		{"another's", "0::/docker/" + other + "\n", false},
		{"container inside it", "0::/docker/" + id + "/docker/" + other + "\n", false},
		{"it inside a container", "0::/docker/" + other + "/docker/" + id + "\n", true},
		{"part of the ID", "0::/docker/" + id[:63] + "\n", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := namesGroup(row.groups, id); got != row.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestSharesPIDs(t *testing.T) {
	if err := (&session{peer: os.Getpid()}).sharesPIDs(new(container)); err != nil {
		t.Error("not with ourselves:", err)
	}
	if err := new(session).sharesPIDs(new(container)); !errors.Is(err, errors.ErrUnsupported) {
		t.Error("with a process that cannot be seen:", err)
	}
}

func FuzzNamesGroup(f *testing.F) {
	f.Add("0::/docker/" + strings.Repeat("ab", 32))
	f.Fuzz(func(t *testing.T, groups string) {
		id := strings.Repeat("ab", 32)
		if namesGroup(groups, id) && !strings.Contains(groups, id) {
			t.Errorf("found in %q", groups)
		}
	})
}

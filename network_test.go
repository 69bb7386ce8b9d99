//go:build linux

package pipework

import (
	"errors"
	"os"
	"testing"
)

// TestOwnOfContainer looks at directories that are laid out as /proc is.
func TestOwnOfContainer(t *testing.T) {
	for name, row := range map[string]struct {
		root, net string // of process 1: "" as this one's
		run       bool   // it has this one's /run
		want      string
	}{
		"on the host":                    {"", "", true, ""},
		"in a namespace of ip netns":     {"", "net:[2]", true, ""},
		"in the host's network":          {"other", "", true, ""},
		"with a /run of its own":         {"other", "", false, "/run"},
		"with the host's processes only": {"other", "net:[2]", false, "network"},
		"not permitted to look":          {"none", "net:[2]", false, ""},
	} {
		dir := t.TempDir()
		own, other := dir+"/own", dir+"/other"
		root := map[string]string{"": own, "other": other, "none": dir + "/none"}[row.root]
		network := map[string]string{"": "net:[1]"}[row.net] + row.net
		if err := errors.Join(os.MkdirAll(own+"/run", 0o755), os.Mkdir(other, 0o755), os.MkdirAll(dir+"/proc/1/ns", 0o755), os.MkdirAll(dir+"/proc/thread-self/ns", 0o755),
			os.Symlink(root, dir+"/proc/1/root"), os.Symlink(network, dir+"/proc/1/ns/net"), os.Symlink("net:[1]", dir+"/proc/thread-self/ns/net")); err != nil {
			t.Fatal(err)
		}
		run := map[bool]func() error{
			true:  func() error { return os.Symlink(own+"/run", other+"/run") },
			false: func() error { return os.Mkdir(other+"/run", 0o755) },
		}
		if err := run[row.run](); err != nil {
			t.Fatal(err)
		}
		if got := ownOfContainer(dir+"/proc", own, "net:[1]"); got != row.want || ownOfContainer(dir+"/proc", own, "net:[3]") != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

package containerd

import (
	"slices"
	"testing"

	"github.com/go-pipework/pipework/internal/process"
)

func TestGroup(t *testing.T) {
	for _, row := range []struct {
		name, cgroupsPath, groups string
		want                      bool
	}{
		{"version 2", "/default/web", "0::/default/web\n", true},
		{"version 1", "/default/web", "2:cpu:/\n1:devices:/default/web\n0::/\n", true},
		{"below a delegated group", "/default/web", "0::/outer/default/web\n", true},
		{"in a group that it made", "/default/web", "0::/default/web/init.scope\n", true},
		{"another's", "/default/web", "0::/default/webby\n", false},
		{"another's, longer", "/default/web", "0::/otherdefault/web\n", false},
		{"host", "/default/web", "0::/\n", false},
		{"systemd", "system.slice:cri-containerd:0a1b", "0::/system.slice/cri-containerd-0a1b.scope\n", true},
		{"systemd, a slice", "kubepods.slice:x:pod1.slice", "0::/kubepods.slice/pod1.slice/a.scope\n", true},
		{"systemd, another's", "system.slice:cri-containerd:0a1b", "0::/system.slice/cri-containerd-0a1c.scope\n", false},
		{"systemd's path with cgroupfs", "system.slice:nerdctl:0a1b", "0::/system.slice:nerdctl:0a1b\n", true},
		{"none given", "", "0::/web\n", true},
		{"relative", "pods/web", "0::/pods/web\n", true},
		{"nonsense", "/default/web", "default/web", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := slices.ContainsFunc(process.Groups(row.groups), group(row.cgroupsPath, "web")); got != row.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func FuzzGroups(f *testing.F) {
	f.Add("0::/default/web\n")
	f.Add("1:name=systemd:/a/b\n")
	f.Add("::x/\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, path := range process.Groups(text) {
			if path == "" || path == "/" {
				t.Errorf("%q has the group %q", text, path)
			}
		}
	})
}

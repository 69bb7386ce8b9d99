package cgroup

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	const hybrid = `24 30 0:22 / /proc rw,nosuid - proc proc rw
33 32 0:28 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
35 32 0:30 / /sys/fs/cgroup/net_cls,net_prio rw shared:12 - cgroup cgroup rw,net_cls,net_prio
36 32 0:31 / /sys/fs/cgroup/devices rw shared:13 - cgroup cgroup rw,devices
40 32 0:35 /../.. /a\040place\134x rw - cgroup cgroup rw,cpu,devices
41 32 0:36 / /x rw - cgroup
cut short
`
	want := []mount{{"0:28", "/sys/fs/cgroup/unified"}, {"0:31", "/sys/fs/cgroup/devices"}, {"0:35", `/a place\x`}}
	if diff := cmp.Diff(want, parse(hybrid), cmp.AllowUnexported(mount{})); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("36 32 0:31 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n")
	f.Add("36 32 0:31 / /a\\04\" rw - cgroup2 x y\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range parse(text) {
			if m.dir == "" || m.device == "" {
				t.Errorf("%q has %+v", text, m)
			}
		}
	})
}

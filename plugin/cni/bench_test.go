//go:build linux

package cni_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/internal/runtimetest"
)

// BenchmarkPlugin has a runtime's calls of the plugin beside those of CNI's own plugins, each an
// ADD and a DEL as whole processes, in turn, with the same ipam plugin (static): medians.
func BenchmarkPlugin(b *testing.B) {
	runtimetest.Require(b, "podman") // whose packages bring CNI's plugins
	dir := b.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "pipework"), "../../cmd/pipework-cni").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	name, _ := nstest.Guest(b)
	a := netlink.NewLinkAttrs()
	a.Name = "nic0"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "lan0"}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { nstest.DelLink(b, "nic0") })
	for _, name := range []string{"nic0", "lan0"} {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	env := append(os.Environ(), "CNI_PATH="+dir+":/usr/lib/cni", "CNI_NETNS=/run/netns/"+string(name), "PIPEWORK_STATE="+filepath.Join(dir, "state"))
	const ipam = `"ipam": {"type": "static", "addresses": [{"address": "10.66.0.2/24"}]}`
	for _, row := range []struct{ name, theirs, conf, ours string }{
		{"bridge", "bridge", `"type": "bridge", "bridge": "br-theirs"`, `"link": {"bridge": {"name": "br-ours"}}`},
		{"macvlan", "macvlan", `"type": "macvlan", "master": "nic0"`, `"link": {"macvlan": {"parent": "nic0"}}`},
	} {
		b.Run(row.name, func(b *testing.B) {
			call := func(path, verb, container, conf string) time.Duration {
				cmd := exec.Command(path)
				cmd.Env = append(slices.Clip(env), "CNI_COMMAND="+verb, "CNI_CONTAINERID="+container, "CNI_IFNAME="+container)
				cmd.Stdin = bytes.NewBufferString(`{"cniVersion": "1.0.0", ` + conf + `}`)
				began := time.Now()
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%s %s: %v: %s", path, verb, err, out)
				}
				return time.Since(began)
			}
			plugins := []struct{ path, conf string }{
				{"/usr/lib/cni/" + row.theirs, fmt.Sprintf(`"name": "theirs", %s, %s`, row.conf, ipam)},
				{filepath.Join(dir, "pipework"), fmt.Sprintf(`"name": "ours", "type": "pipework", %s, %s`, row.ours, ipam)},
			}
			other := strings.Replace(ipam, "10.66.0.2", "10.66.0.3", 1)
			for i, p := range plugins { // one is there all the time, or else ours removes the bridge each time
				conf := strings.Replace(p.conf, ipam, other, 1)
				call(p.path, "ADD", fmt.Sprint("there", i), conf)
				defer call(p.path, "DEL", fmt.Sprint("there", i), conf)
			}
			var took [2][2][]time.Duration // by plugin, and by verb
			for b.Loop() {
				for i, p := range plugins {
					for j, verb := range []string{"ADD", "DEL"} {
						took[i][j] = append(took[i][j], call(p.path, verb, "comes", p.conf))
					}
				}
			}
			for j, verb := range []string{"add", "del"} {
				theirs, ours := median(took[0][j]), median(took[1][j])
				b.ReportMetric(theirs.Seconds()*1000, "cni-"+verb+"-ms")
				b.ReportMetric(ours.Seconds()*1000, "ours-"+verb+"-ms")
				b.ReportMetric(ours.Seconds()/theirs.Seconds(), verb+"-ratio")
			}
		})
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

//go:build linux

package cni_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/go-pipework/pipework"
	"github.com/go-pipework/pipework/internal/nstest"
	"github.com/go-pipework/pipework/keep"
	"github.com/go-pipework/pipework/link"
	"github.com/go-pipework/pipework/ns"
	"github.com/go-pipework/pipework/plugin"
)

// A runtime is libcni, as containerd and others have it, with a directory of its own.
type runtime struct {
	t     *testing.T
	cni   *libcni.CNIConfig
	state string
}

func newRuntime(t *testing.T) *runtime {
	t.Helper()
	nstest.CleanHost(t)
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	script := fmt.Sprintf("#!/bin/sh\nPIPEWORK_STATE=%s exec %s\n", state, self) // not all runtimes pass their environment on
	if err := os.WriteFile(filepath.Join(dir, "pipework"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return &runtime{t, libcni.NewCNIConfigWithCacheDir([]string{dir, "/usr/lib/cni"}, filepath.Join(dir, "cache"), nil), state}
}

// network is one of this name, with these plugins, each a JSON object without its braces.
func network(t *testing.T, version, name string, plugins ...string) *libcni.NetworkConfigList {
	t.Helper()
	text := fmt.Sprintf(`{"cniVersion": %q, "name": %q, "plugins": [{%s}]}`, version, name, strings.Join(plugins, "}, {"))
	list, err := libcni.ConfListFromBytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// container is what a runtime says of one.
func container(t *testing.T, id string, capabilities map[string]any, args ...[2]string) (*libcni.RuntimeConf, *ns.Guest) {
	t.Helper()
	name, g := nstest.Guest(t)
	return &libcni.RuntimeConf{ContainerID: id, NetNS: "/run/netns/" + string(name), IfName: "eth0", Args: args, CapabilityArgs: capabilities}, g
}

func (r *runtime) add(n *libcni.NetworkConfigList, c *libcni.RuntimeConf) *types100.Result {
	r.t.Helper()
	got, err := r.cni.AddNetworkList(r.t.Context(), n, c)
	if err != nil {
		r.t.Fatal(err)
	}
	whole, err := types100.NewResultFromResult(got)
	if err != nil {
		r.t.Fatal(err)
	}
	return whole
}

func (r *runtime) del(n *libcni.NetworkConfigList, c *libcni.RuntimeConf) {
	r.t.Helper()
	if err := r.cni.DelNetworkList(r.t.Context(), n, c); err != nil {
		r.t.Fatal(err)
	}
}

// records are the interfaces that are recorded.
func (r *runtime) records() (all []string) {
	r.t.Helper()
	s, err := keep.Open(r.state, plugin.Kinds()...)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	found, damaged, err := s.All()
	if err := errors.Join(append(damaged, err)...); err != nil {
		r.t.Fatal(err)
	}
	for _, rec := range found {
		all = append(all, rec.Guest.String()+" "+rec.Interface)
	}
	return all
}

// nothingLeft fails the test where records are left.
func (r *runtime) nothingLeft() {
	r.t.Helper()
	if left := r.records(); len(left) > 0 {
		r.t.Errorf("left: %q", left)
	}
}

const plain = `"type": "pipework", "link": "br-cni", "addrs": ["10.5.0.2/24", "fd05::2/64"], "gateways": ["10.5.0.1"], "mtu": 1400, "routes": [{"dst": "10.9.0.0/16", "via": "10.5.0.9", "metric": 7}]`

// TestVerbs has libcni do all that a runtime does, in each version of the specification.
func TestVerbs(t *testing.T) {
	for _, version := range []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		t.Run(version, func(t *testing.T) {
			r := newRuntime(t)
			c, g := container(t, "3f2a", nil)
			before := nstest.Observe(t, g.Handle)
			lan := network(t, version, "lan", plain)
			if _, err := r.cni.ValidateNetworkList(t.Context(), lan); err != nil {
				t.Error(err)
			}
			if err := r.cni.GetStatusNetworkList(t.Context(), lan); err != nil {
				t.Error(err)
			}
			got := r.add(lan, c)
			b, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				`"address":"10.5.0.2/24","gateway":"10.5.0.1"`, `"address":"fd05::2/64"`, `"sandbox":"` + c.NetNS + `"`, `"name":"eth0"`,
				`{"dst":"0.0.0.0/0","gw":"10.5.0.1"}`, `"dst":"10.9.0.0/16"`,
			} {
				if !strings.Contains(string(b), want) {
					t.Errorf("no %s in %s", want, b)
				}
			}
			at, err := pipework.Check(t.Context(), ns.Path(c.NetNS), pipework.Spec{Name: "eth0", Link: link.Bridge{Name: "br-cni"}, MTU: 1400})
			if err != nil || at.MTU != 1400 || !slices.Contains(at.Addrs, netip.MustParsePrefix("10.5.0.2/24")) {
				t.Errorf("%v, %v", at, err)
			}
			if all, err := pipework.List(t.Context(), ns.Path(c.NetNS)); err != nil || len(all) != 1 || all[0].Guest.Name != "cni:lan/3f2a" { // by which detach finds it
				t.Errorf("%v, %v", all, err)
			}
			if version != "0.3.1" {
				if err := r.cni.CheckNetworkList(t.Context(), lan, c); err != nil {
					t.Error(err)
				}
				nstest.Spoil(t, g, "eth0")
				if err := r.cni.CheckNetworkList(t.Context(), lan, c); err == nil || !strings.Contains(err.Error(), "cni:lan/3f2a: eth0 ") {
					t.Errorf("of a drift: %v", err)
				}
			}
			r.del(lan, c)
			r.del(lan, c)
			r.nothingLeft()
			before.Unchanged(t)
		})
	}
}

// TestDelWithoutNamespace: a runtime may forget the namespace, and may have removed it.
func TestDelWithoutNamespace(t *testing.T) {
	r := newRuntime(t)
	lan := network(t, "1.0.0", "lan", plain)
	c, g := container(t, "3f2a", nil)
	before := nstest.Observe(t, g.Handle)
	r.add(lan, c)
	c.NetNS = ""
	r.del(lan, c)
	r.nothingLeft()
	before.Unchanged(t)
	c.NetNS = "/run/netns/nosuch"
	r.del(lan, c)
}

// TestGC: exactly the attachments of this network that are not valid go, also those of which
// nothing is recorded.
func TestGC(t *testing.T) {
	r := newRuntime(t)
	lan, other := network(t, "1.1.0", "lan", plain), network(t, "1.1.0", "other", strings.ReplaceAll(plain, "10.5.0.2", "10.5.0.3"))
	var all []*libcni.RuntimeConf
	for _, id := range []string{"aaaa", "bbbb", "cccc"} {
		c, _ := container(t, id, map[string]any{"ips": []string{"10.5.0.10"}})
		all = append(all, c)
		r.add(lan, c)
	}
	c, _ := container(t, "aaaa", nil)
	r.add(other, c)
	forget(t, r.state, "cni:lan/cccc")
	if err := os.RemoveAll(filepath.Join(filepath.Dir(r.state), "cache")); err != nil { // else libcni detaches all that it knows
		t.Fatal(err)
	}
	if err := r.cni.GCNetworkList(t.Context(), lan, &libcni.GCArgs{ValidAttachments: []types.GCAttachment{{ContainerID: "aaaa", IfName: "eth0"}}}); err != nil {
		t.Fatal(err)
	}
	if left, want := r.records(), []string{"cni:lan/aaaa eth0", "cni:other/aaaa eth0"}; !slices.Equal(left, want) {
		t.Errorf("left: %q, want %q", left, want)
	}
	for i, want := range []bool{true, false, false} {
		if has := has(t, all[i].NetNS, "eth0"); has != want {
			t.Errorf("container %d has eth0: %v", i, has)
		}
	}
	r.del(lan, all[0])
	r.del(other, c)
}

// forget removes the records of the guest, as a state directory may be lost.
func forget(t *testing.T, state, guest string) {
	t.Helper()
	s, err := keep.Open(state, plugin.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Delete(ns.ParseRef(guest), "eth0"), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// has says whether pipework has plugged the interface in.
func has(t *testing.T, netns, name string) bool {
	t.Helper()
	all, err := pipework.List(t.Context(), ns.Path(netns))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(a *pipework.Attachment) bool { return a.Name == name })
}

// TestAsked takes addresses and MACs from wherever runtimes say them.
func TestAsked(t *testing.T) {
	const conf = `"type": "pipework", "link": "br-cni", "addrs": ["10.5.0.2/24"], "capabilities": {"ips": true, "mac": true, "bandwidth": true}`
	const mac = "02:00:00:00:05:09"
	for name, row := range map[string]struct {
		conf         string
		capabilities map[string]any
		args         [][2]string
	}{
		"capabilities": {conf, map[string]any{"ips": []string{"10.5.0.9/24"}, "mac": mac, "bandwidth": map[string]any{"ingressRate": 8000000, "egressRate": 4000000}}, nil},
		"CNI_ARGS":     {conf, nil, [][2]string{{"IgnoreUnknown", "1"}, {"K8S_POD_NAME", "web"}, {"IP", "10.5.0.9"}, {"MAC", mac}}},
		"args":         {conf + `, "args": {"cni": {"ips": ["10.5.0.9"], "mac": "` + mac + `"}}`, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRuntime(t)
			lan := network(t, "1.0.0", "lan", row.conf)
			c, _ := container(t, "3f2a", row.capabilities, row.args...)
			got := r.add(lan, c)
			if i := len(got.Interfaces) - 1; got.Interfaces[i].Mac != mac || len(got.IPs) != 1 || got.IPs[0].Address.String() != "10.5.0.9/24" {
				t.Errorf("%v", got)
			}
			r.del(lan, c)
		})
	}
}

// TestAnnotations: what a pod's annotations declare is attached with its network, and goes with it.
func TestAnnotations(t *testing.T) {
	r := newRuntime(t)
	lan := network(t, "1.0.0", "lan", plain+`, "capabilities": {"io.kubernetes.cri.pod-annotations": true}`)
	c, g := container(t, "3f2a", map[string]any{"io.kubernetes.cri.pod-annotations": map[string]string{"pipework.eth5": "br-more 10.6.0.2/24", "other": "x"}})
	before := nstest.Observe(t, g.Handle)
	got := r.add(lan, c)
	if !slices.ContainsFunc(got.IPs, func(ip *types100.IPConfig) bool { return ip.Address.String() == "10.6.0.2/24" }) || !has(t, c.NetNS, "eth5") {
		t.Errorf("%v", got)
	}
	if err := r.cni.CheckNetworkList(t.Context(), lan, c); err != nil {
		t.Error(err)
	}
	nstest.Spoil(t, g, "eth5")
	if err := r.cni.CheckNetworkList(t.Context(), lan, c); err == nil || !strings.Contains(err.Error(), "eth5 ") {
		t.Errorf("of a drift of what annotations declare: %v", err)
	}
	r.del(lan, c)
	before.Unchanged(t)
	c.CapabilityArgs = map[string]any{"io.kubernetes.cri.pod-annotations": map[string]string{"pipework.eth5": "br-more 10.6.0.2"}}
	if _, err := r.cni.AddNetworkList(t.Context(), lan, c); err == nil || !strings.Contains(err.Error(), "eth5") {
		t.Errorf("%v", err)
	}
	before.Unchanged(t)
}

// TestCheckOne: a check is of one interface, whatever became of another one of the guest's.
func TestCheckOne(t *testing.T) {
	r := newRuntime(t)
	lan := network(t, "1.0.0", "lan", `"type": "pipework", "link": "br-cni"`)
	one, g := container(t, "3f2a", nil)
	two := *one
	two.IfName = "eth1"
	r.add(lan, one)
	r.add(lan, &two)
	nstest.Spoil(t, g, "eth1")
	if err := r.cni.CheckNetworkList(t.Context(), lan, one); err != nil {
		t.Error(err)
	}
	if err := r.cni.CheckNetworkList(t.Context(), lan, &two); err == nil {
		t.Error("a drift is not told")
	}
	r.del(lan, one)
	r.del(lan, &two)
	r.nothingLeft()
}

// TestChained is a second interface, after another plugin's.
func TestChained(t *testing.T) {
	r := newRuntime(t)
	const second = `"type": "pipework", "interface": "eth1", "link": {"bridge": {"name": "br-more"}}, "addrs": ["10.6.0.2/24"]`
	lan := network(t, "1.0.0", "lan", plain, second)
	c, g := container(t, "3f2a", nil)
	before := nstest.Observe(t, g.Handle)
	got := r.add(lan, c)
	var addrs []string
	for _, ip := range got.IPs {
		addrs = append(addrs, got.Interfaces[*ip.Interface].Name+" "+ip.Address.String())
	}
	if want := []string{"eth0 10.5.0.2/24", "eth0 fd05::2/64", "eth1 10.6.0.2/24"}; !slices.Equal(addrs, want) {
		t.Errorf("%q, want %q", addrs, want)
	}
	if err := r.cni.CheckNetworkList(t.Context(), lan, c); err != nil {
		t.Error(err)
	}
	// GC knows both by the name of the runtime's, and leaves them while that is valid.
	if err := os.RemoveAll(filepath.Join(filepath.Dir(r.state), "cache")); err != nil { // else libcni detaches all that it knows
		t.Fatal(err)
	}
	for _, row := range []struct {
		valid []types.GCAttachment
		stay  bool
	}{{[]types.GCAttachment{{ContainerID: "3f2a", IfName: "eth0"}}, true}, {nil, false}} {
		if err := r.cni.GCNetworkList(t.Context(), network(t, "1.1.0", "lan", plain, second), &libcni.GCArgs{ValidAttachments: row.valid}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"eth0", "eth1"} {
			if has(t, c.NetNS, name) != row.stay {
				t.Errorf("with %v valid, there is an %s: %v", row.valid, name, !row.stay)
			}
		}
	}
	r.del(lan, c)
	before.Unchanged(t)
}

// TestRefused: a wrong configuration is told with the code of the specification, and changes
// nothing.
func TestRefused(t *testing.T) {
	r := newRuntime(t)
	c, g := container(t, "3f2a", nil)
	before := nstest.Observe(t, g.Handle)
	for _, row := range []struct {
		conf string
		code uint
		msg  string
	}{
		{`"type": "pipework"`, types.ErrInvalidNetworkConfig, "link is missing"},
		{`"type": "pipework", "link": "br-cni", "adrs": []`, types.ErrInvalidNetworkConfig, "adrs"},
		{`"type": "pipework", "link": "br-cni", "addrs": ["10.5.0.300/24"]`, types.ErrInvalidNetworkConfig, "10.5.0.300"},
		{`"type": "pipework", "link": "br-cni", "vlan": "x"`, types.ErrInvalidNetworkConfig, "vlan"},
		{`"type": "pipework", "link": {"bridge": {"name": "br-cni"}}, "vlan": 5`, types.ErrInvalidNetworkConfig, "vlan"},
		{`"type": "pipework", "link": "macvlan:nosuch0"`, types.ErrInternal, "nosuch0"},
	} {
		_, err := r.cni.AddNetworkList(t.Context(), network(t, "1.0.0", "lan", row.conf), c)
		told, ok := errors.AsType[*types.Error](err)
		if !ok || told.Code != row.code || !strings.Contains(told.Msg, row.msg) {
			t.Errorf("%s: %v (code %d)", row.conf, err, told.Code)
		}
	}
	lan := network(t, "1.0.0", "lan", plain)
	c.NetNS = "/run/netns/nosuch"
	_, err := r.cni.AddNetworkList(t.Context(), lan, c)
	if told, ok := errors.AsType[*types.Error](err); !ok || told.Code != types.ErrUnknownContainer {
		t.Errorf("%v", err)
	}
	before.Unchanged(t)
}

// TestDelOfWrongConfiguration: a configuration that has become wrong keeps nothing from being taken
// away.
func TestDelOfWrongConfiguration(t *testing.T) {
	r := newRuntime(t)
	c, g := container(t, "3f2a", nil)
	before := nstest.Observe(t, g.Handle)
	r.add(network(t, "1.0.0", "lan", plain), c)
	r.del(network(t, "1.0.0", "lan", `"type": "pipework", "link": "", "adrs": 5`), c)
	r.nothingLeft()
	before.Unchanged(t)
}
